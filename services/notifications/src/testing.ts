/** A store on the real Postgres, for tests. */
import { createPool, inTransaction } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { claim } from '@ragline/streams/inbox';
import { stack } from '../../../tests/support/stack.ts';
import { memoized } from './memoized.ts';
import { type Notice, notificationStore } from './store.ts';

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
  return {
    pool,
    store,
    codec,
    /** Keeps what the events bring, as the group does; gives the ids of those that were new to it. */
    async keep(groupId: string, notices: readonly Notice[]): Promise<Set<string>> {
      const keep = await store.keeper();
      return inTransaction(pool, async (client) => {
        const ids = notices.map(({ event_id }) => event_id);
        const fresh = await claim(client, groupId, ids);
        await keep(
          client,
          notices.filter(({ event_id }) => fresh.has(event_id)),
        );
        return fresh;
      });
    },
  };
}
