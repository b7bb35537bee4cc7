/** Monthly partitions of an outbox: made ahead, dropped when nobody needs them any more. */
import type { OutboxSchema } from './outbox.ts';

export type PartitionWork = { made: string[]; dropped: string[] };

export type MaintainOptions = {
  /** Months to have ready beside the present one; 3. Without a partition for its month an insert fails. */
  aheadMonths?: number;
  /** Full months to keep; 13. A month is dropped when all of it is older. */
  keepMonths?: number;
};

/** What runs a query: a pool, a client. */
type Queryable = { query<R extends object>(text: string, values: unknown[]): Promise<{ rows: R[] }> };

/**
 * Makes and drops partitions of the schema's outbox; whoever may write to that outbox may call it, at any time
 * and from several instances at once. A partition that is in use is not waited for: it is dropped next time.
 */
export async function maintainOutbox(
  db: Queryable,
  schema: OutboxSchema,
  { aheadMonths = 3, keepMonths = 13 }: MaintainOptions = {},
): Promise<PartitionWork> {
  const { rows } = await db.query<{ made: string[]; dropped: string[] }>(
    'SELECT made, dropped FROM ops.maintain_outbox($1, $2, $3)',
    [schema, aheadMonths, keepMonths],
  );
  return rows[0] ?? { made: [], dropped: [] };
}
