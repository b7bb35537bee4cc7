/** Housekeeping, by every instance: what one has begun the others leave alone, or do without harm. */
import { pruneIdempotency } from '@ragline/postgres/idempotency';
import { maintainOutbox } from '@ragline/postgres/partitions';
import type { Pool } from '@ragline/postgres/pool';
import { pruneBatches } from './batch-prune.ts';

const prunedAtOnce = 1_000;

/**
 * One round; goes on until nothing old is left. Gives how many letters are gone, with their attempts, notes and edits.
 *
 * A record that is parked stays parked when its letter is forgotten: only a person's decision, or the group, ends it.
 */
export async function keepHouse(
  pool: Pool,
  retentionDays: number,
  rowsAtOnce = prunedAtOnce,
): Promise<number> {
  await maintainOutbox(pool, 'dead_letters');
  await pruneIdempotency(pool, 'dead_letters');
  await pruneBatches(pool, retentionDays);
  for (let tidied = rowsAtOnce; tidied >= rowsAtOnce; ) {
    const { rows } = await pool.query<{ tidied: number }>('SELECT dead_letters.tidy_pace($1) AS tidied', [
      rowsAtOnce,
    ]);
    tidied = rows[0]?.tidied ?? 0;
  }
  let pruned = 0;
  for (;;) {
    const { rows } = await pool.query<{ pruned: number }>(
      'SELECT dead_letters.prune_letters($1, $2) AS pruned',
      [retentionDays, rowsAtOnce],
    );
    const count = rows[0]?.pruned ?? 0;
    pruned += count;
    if (count < rowsAtOnce) return pruned;
  }
}
