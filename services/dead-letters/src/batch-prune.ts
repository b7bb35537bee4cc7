/** Batches are kept as long as letters are. */
import type { Pool } from '@ragline/postgres/pool';
import { inScope, system } from './scope.ts';

const itemsAtOnce = 10_000;

/** Forgets batches that were made before that, whatever became of them; items in small steps, since there may be a million. How many. */
export async function pruneBatches(pool: Pool, retentionDays: number): Promise<number> {
  let pruned = 0;
  for (;;) {
    const done = await inScope(pool, system, async (client) => {
      const { rows } = await client.query<{ id: string }>(
        `SELECT id FROM dead_letters.batch WHERE created_at < clock_timestamp() - make_interval(days => $1)
          ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`,
        [retentionDays],
      );
      const [batch] = rows;
      if (batch === undefined) return 'none';
      const items = await client.query(
        `DELETE FROM dead_letters.batch_item WHERE batch_id = $1 AND n IN (
           SELECT n FROM dead_letters.batch_item WHERE batch_id = $1 ORDER BY n LIMIT ${itemsAtOnce})`,
        [batch.id],
      );
      if ((items.rowCount ?? 0) === itemsAtOnce) return 'some';
      await client.query('DELETE FROM dead_letters.batch WHERE id = $1', [batch.id]);
      return 'batch';
    });
    if (done === 'none') return pruned;
    if (done === 'batch') pruned += 1;
  }
}
