/**
 * Lets the next signing key, which verifiers know already, sign from now on. For a key that may be in wrong hands:
 * `--withdraw` takes the old ones out of the key set, and what they signed is refused within minutes.
 *
 *   node services/identity/src/rotate-keys.ts [--withdraw]
 */
import { parseArgs } from 'node:util';
import { createPool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import { keyStore } from './key-store.ts';

const { values } = parseArgs({ options: { withdraw: { type: 'boolean', default: false } } });
const { databaseUrl } = readSettings(process.env, (env) => ({ databaseUrl: env.url('DATABASE_URL') }));
const log = createLogger({ service: 'identity', level: 'info', instance: 'rotate-keys' });
const metrics = createMetrics({ service: 'identity' });
const pool = createPool({ url: databaseUrl, max: 1, applicationName: 'identity-rotate', log, metrics });
try {
  const kid = await keyStore(pool).rotateNow({ withdraw: values.withdraw });
  if (kid === undefined)
    throw new Error('There is no next key: an instance of identity makes one when it runs');
  log.info('signing key rotated', { kid, withdrawn: values.withdraw });
} finally {
  await pool.end();
}
