/**
 * Makes the sample tenants and users of a development stack, with identity's own settings and the passwords
 * RAGLINE_DEMO_PASSWORD and SENTINEL_PASSWORD. Running it again changes nothing, except that a password that
 * differs now is taken over.
 *
 *   node services/identity/src/seed.ts
 */
import { type Client, createPool, inTenant } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import { type DemoTenant, type DemoUser, demoTenants } from './demo.ts';
import { hashPassword, verifyPassword } from './passwords.ts';

type Made = 'made' | 'password changed' | 'there';

const config = readSettings(process.env, (env) => ({
  production: env.choice('RAGLINE_ENV', ['development', 'production'], 'development') === 'production',
  databaseUrl: env.url('DATABASE_URL'),
  passwords: { demo: env.secret('RAGLINE_DEMO_PASSWORD'), sentinel: env.secret('SENTINEL_PASSWORD') },
}));
const log = createLogger({ service: 'identity', level: 'info', instance: 'seed' });

if (config.production) {
  log.error('sample users are refused in production');
  process.exit(1);
}
const pool = createPool({
  url: config.databaseUrl,
  max: 1,
  applicationName: 'identity-seed',
  log,
  metrics: createMetrics({ service: 'identity-seed' }),
});
try {
  for (const tenant of demoTenants)
    log.info('tenant seeded', { slug: tenant.slug, users: await seedTenant(tenant) });
} finally {
  await pool.end();
}

function seedTenant(tenant: DemoTenant): Promise<Record<Made, number>> {
  return inTenant(pool, tenant.id, async (client) => {
    await client.query(
      'INSERT INTO identity.tenant (id, slug, name) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING',
      [tenant.id, tenant.slug, tenant.name],
    );
    const counts: Record<Made, number> = { made: 0, 'password changed': 0, there: 0 };
    for (const user of tenant.users) counts[await seedUser(client, tenant.id, user)] += 1;
    return counts;
  });
}

async function seedUser(client: Client, tenantId: string, user: DemoUser): Promise<Made> {
  const password = config.passwords[user.password];
  const { rows } = await client.query<{ password_hash: string }>(
    'SELECT password_hash FROM identity.user_account WHERE id = $1 FOR NO KEY UPDATE',
    [user.id],
  );
  const [known] = rows;
  if (known === undefined) {
    await client.query(
      `INSERT INTO identity.user_account (id, tenant_id, email, name, roles, password_hash)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [user.id, tenantId, user.email, user.name, user.roles, await hashPassword(password)],
    );
    return 'made';
  }
  if ((await verifyPassword(password, known.password_hash)).matches) return 'there';
  // Sessions go on: it is the same person at the same machine, who chose another sample password.
  await client.query(
    'UPDATE identity.user_account SET password_hash = $2, updated_at = clock_timestamp() WHERE id = $1',
    [user.id, await hashPassword(password)],
  );
  return 'password changed';
}
