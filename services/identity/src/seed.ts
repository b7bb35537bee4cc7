/**
 * Makes the sample tenants and users of a development stack, with identity's own settings and the passwords
 * RAGLINE_DEMO_PASSWORD and SENTINEL_PASSWORD. Running it again changes nothing, except that a password that
 * differs now is taken over.
 *
 *   node services/identity/src/seed.ts
 */
import { createPool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import { sampleTenants, sentinelTenant } from './demo.ts';
import { provision } from './provision.ts';

const config = readSettings(process.env, (env) => ({
  production: env.choice('RAGLINE_ENV', ['development', 'production'], 'development') === 'production',
  databaseUrl: env.url('DATABASE_URL'),
  passwords: { demo: env.secret('RAGLINE_DEMO_PASSWORD'), sentinel: env.secret('SENTINEL_PASSWORD') },
}));
const log = createLogger({ service: 'identity', level: 'info', instance: 'seed' });

if (config.production) {
  log.error('sample users are refused in production: see bootstrap.ts');
  process.exit(1);
}
const metrics = createMetrics({ service: 'identity' });
const pool = createPool({ url: config.databaseUrl, max: 1, applicationName: 'identity-seed', log, metrics });
try {
  for (const tenant of [...sampleTenants(config.passwords), sentinelTenant(config.passwords)]) {
    log.info('tenant seeded', { slug: tenant.slug, users: await provision(pool, tenant) });
  }
} finally {
  await pool.end();
}
