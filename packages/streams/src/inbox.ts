/** Effects that happen once: a row of the inbox in the same transaction as the effect. */

/** A client inside the caller's transaction. */
export type Transaction = {
  query(query: { name: string; text: string; values: unknown[] }): Promise<{ rows: unknown[] }>;
};

/**
 * Runs the effect unless the group has handled the id already; both take hold with the caller's COMMIT.
 *
 * While another transaction has the id, this waits: it then finds it done, or free when that one rolled back.
 * Gives undefined for a duplicate.
 */
export async function once<T>(
  client: Transaction,
  groupId: string,
  inboxId: string,
  effect: () => Promise<T>,
): Promise<T | undefined> {
  const fresh = await claim(client, groupId, [inboxId]);
  return fresh.has(inboxId) ? effect() : undefined;
}

/** Marks all ids as handled, in one statement, and gives those that were not handled before. */
export async function claim(
  client: Transaction,
  groupId: string,
  inboxIds: readonly string[],
): Promise<Set<string>> {
  const { rows } = await client.query({
    name: 'ragline_close_inbox',
    text: 'SELECT id FROM streams.close_inbox($1, $2) AS id',
    values: [groupId, inboxIds],
  });
  return new Set(rows.map(idOf));
}

/** What became of an id, and when (with `handled`: when its transaction began); undefined when nothing has yet. */
export async function fateOf(
  client: Transaction,
  groupId: string,
  inboxId: string,
): Promise<{ outcome: string; at: Date } | undefined> {
  const { rows } = await client.query({
    name: 'ragline_inbox_fate',
    text: 'SELECT outcome, at FROM streams.inbox_fate($1, $2)',
    values: [groupId, inboxId],
  });
  const [row] = rows;
  if (typeof row !== 'object' || row === null || !('outcome' in row) || !('at' in row)) return undefined;
  return { outcome: String(row.outcome), at: row.at instanceof Date ? row.at : new Date(String(row.at)) };
}

const prunedAtOnce = 10_000;

/**
 * Forgets what no record can bring back any more (after fourteen months), in small steps; how many rows.
 * Safe from several instances at once.
 */
export async function pruneInbox(pool: Transaction, groupId: string): Promise<number> {
  let pruned = 0;
  for (;;) {
    const { rows } = await pool.query({
      name: 'ragline_prune_inbox',
      text: 'SELECT streams.prune_inbox($1, p_rows => $2)::int AS id',
      values: [groupId, prunedAtOnce],
    });
    const count = Number(rows.map(idOf)[0] ?? 0);
    pruned += count;
    if (count < prunedAtOnce) return pruned;
  }
}

function idOf(row: unknown): string {
  if (typeof row === 'object' && row !== null && 'id' in row) return String(row.id);
  throw new TypeError('A function of streams gave a row without a value');
}
