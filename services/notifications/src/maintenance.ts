/** Housekeeping, by every instance: what one has begun the others leave alone, or do without harm. */
import { pruneIdempotency } from '@ragline/postgres/idempotency';
import { maintainOutbox } from '@ragline/postgres/partitions';
import type { Pool } from '@ragline/postgres/pool';
import { pruneInbox } from '@ragline/streams/inbox';
import { groupId } from './consumer.ts';
import { webhookGroupId } from './webhooks/consumer.ts';

const prunedAtOnce = 5_000;

/** One round; goes on until nothing old is left. Gives how many of the sentinel's notifications are gone. */
export async function keepHouse(pool: Pool, rowsAtOnce = prunedAtOnce): Promise<number> {
  await maintainOutbox(pool, 'notifications');
  await pruneInbox(pool, groupId);
  await pruneInbox(pool, webhookGroupId);
  await pruneIdempotency(pool, 'notifications');
  let pruned = 0;
  for (;;) {
    const { rows } = await pool.query<{ pruned: number }>(
      'SELECT notifications.prune_sentinel($1) AS pruned',
      [rowsAtOnce],
    );
    const count = rows[0]?.pruned ?? 0;
    pruned += count;
    if (count < rowsAtOnce) return pruned;
  }
}
