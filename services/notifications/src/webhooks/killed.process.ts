/** A sender in a process of its own, for the test that kills it: `node killed.process.ts <database url>`, settings as usual. */
import { createPool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import { readWebhookSettings } from './settings.ts';
import { startWebhooks } from './start.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const [, , url = ''] = process.argv;
const metrics = createMetrics({ service: 'test' });
const settings = readSettings(process.env, readWebhookSettings);
startWebhooks({
  pool: createPool({ url, max: 2, applicationName: 'test-webhooks', log, metrics }),
  store: { keeper: async () => async () => {} },
  settings,
  isProduction: false,
  log,
  metrics,
  leaseMs: 1_000,
  pollMs: 50,
  stopWithinMs: 0,
});
