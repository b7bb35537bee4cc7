/**
 * The first operator of a new installation, who then makes the tenants over REST, and the sentinel's tenant.
 * Running it again changes nothing, except that a password that differs now is taken over.
 *
 *   OPERATOR_EMAIL=… OPERATOR_PASSWORD=… SENTINEL_PASSWORD=… node services/identity/src/bootstrap.ts
 */
import { randomUUIDv7 } from 'node:crypto';
import { createPool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings, SettingsError } from '@ragline/runtime/settings';
import { operators, sentinelTenant } from './demo.ts';
import { normalEmail, passwordFault } from './domain.ts';
import { provision } from './provision.ts';

const config = readSettings(process.env, (env) => ({
  databaseUrl: env.url('DATABASE_URL'),
  email: normalEmail(env.string('OPERATOR_EMAIL')),
  password: env.secret('OPERATOR_PASSWORD'),
  sentinelPassword: env.optional('SENTINEL_PASSWORD'),
}));
const fault = passwordFault(config.password, config.email);
if (fault !== undefined) throw new SettingsError([`OPERATOR_PASSWORD ${fault}`]);

const log = createLogger({ service: 'identity', level: 'info', instance: 'bootstrap' });
const metrics = createMetrics({ service: 'identity' });
const pool = createPool({
  url: config.databaseUrl,
  max: 1,
  applicationName: 'identity-bootstrap',
  log,
  metrics,
});
try {
  const { email, password, sentinelPassword: sentinel } = config;
  const tenants = [operators({ id: randomUUIDv7(), email, name: 'Operator', password })];
  if (sentinel !== undefined) tenants.push(sentinelTenant({ sentinel }));
  for (const tenant of tenants) {
    log.info('tenant made', { slug: tenant.slug, users: await provision(pool, tenant) });
  }
} finally {
  await pool.end();
}
