/** A store on the real Postgres, for tests. */
import { createPool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { stack } from '../../../tests/support/stack.ts';
import { memoized } from './memoized.ts';
import { notificationStore } from './store.ts';

export function openStore() {
  const { databaseUrlOf, registryUrl } = stack();
  const pool = createPool({
    url: databaseUrlOf('ragline_notifications'),
    max: 5,
    applicationName: 'test-notifications',
    log: { debug() {}, info() {}, warn() {}, error() {} },
    metrics: createMetrics({ service: 'test' }),
  });
  const codec = createCodec({ registryUrl });
  const store = notificationStore(
    pool,
    memoized(() => codec.encoder('notification_v1')),
  );
  return { pool, store, codec };
}
