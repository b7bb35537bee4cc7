/** Housekeeping, by every instance: what one has begun the others leave alone, or do without harm. */
import { pruneIdempotency } from '@ragline/postgres/idempotency';
import { maintainOutbox } from '@ragline/postgres/partitions';
import type { Pool } from '@ragline/postgres/pool';
import { pruneInbox } from '@ragline/streams/inbox';
import { pruneBudgets } from './budgets.ts';
import { groupId } from './turn/consumer.ts';

/** One round; goes on until nothing old is left. */
export async function keepHouse(pool: Pool): Promise<void> {
  await maintainOutbox(pool, 'chat');
  await pruneInbox(pool, groupId);
  await pruneInbox(pool, 'chat-index');
  await pruneIdempotency(pool, 'chat');
  await pruneBudgets(pool);
}
