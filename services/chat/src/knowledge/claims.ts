/** Who embeds which missing chunk. In a transaction that sees all tenants. */
import type { Client } from '@ragline/postgres/pool';

/** Of the chunks the first that nobody has claimed, as many as a batch, claimed now for `leaseMs`. */
export async function claimChunks<C extends { id: string; tenant_id: string }>(
  client: Client,
  modelId: string,
  chunks: readonly C[],
  { batchSize, leaseMs }: { batchSize: number; leaseMs: number },
): Promise<C[]> {
  if (chunks.length === 0) return [];
  const { rows } = await client.query<{ chunk_id: string }>({
    name: 'chat_claim_chunks',
    // A claim that is about to be made or taken over elsewhere is passed over by its chunk's lock.
    text: `WITH free AS (
             SELECT c.id, c.tenant_id
               FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted(id, place) JOIN chat.chunk c ON c.id = wanted.id
              WHERE NOT EXISTS (SELECT FROM chat.embedding_claim e
                                 WHERE e.model_id = $1 AND e.chunk_id = c.id AND e.until > clock_timestamp())
              ORDER BY wanted.place LIMIT $3 FOR NO KEY UPDATE OF c SKIP LOCKED)
           INSERT INTO chat.embedding_claim AS e (model_id, chunk_id, tenant_id, until)
           SELECT $1, id, tenant_id, clock_timestamp() + make_interval(secs => $4 / 1000.0) FROM free
           ON CONFLICT (model_id, chunk_id) DO UPDATE SET until = excluded.until WHERE e.until <= clock_timestamp()
           RETURNING e.chunk_id`,
    values: [modelId, chunks.map(({ id }) => id), batchSize, leaseMs],
  });
  const claimed = new Set(rows.map(({ chunk_id }) => chunk_id));
  return chunks.filter(({ id }) => claimed.has(id));
}

export async function releaseChunks(
  client: Client,
  modelId: string,
  chunks: readonly { id: string }[],
): Promise<void> {
  await client.query({
    name: 'chat_release_chunks',
    text: 'DELETE FROM chat.embedding_claim WHERE model_id = $1 AND chunk_id = ANY ($2::uuid[])',
    values: [modelId, chunks.map(({ id }) => id)],
  });
}

/** Claims that others wait for: how many, and in how many milliseconds the first of them ends. */
export async function openClaims(client: Client, modelId: string): Promise<{ count: number; endMs: number }> {
  const { rows } = await client.query<{ count: number; end_ms: number | null }>({
    name: 'chat_open_claims',
    text: `SELECT count(*) AS count, extract(epoch FROM min(until) - clock_timestamp())::float8 * 1000 AS end_ms
             FROM chat.embedding_claim WHERE model_id = $1 AND until > clock_timestamp()`,
    values: [modelId],
  });
  const { count = 0, end_ms = null } = rows[0] ?? {};
  return { count, endMs: end_ms ?? 0 };
}

/** Keeps chunks claimed for so long, so that others have their turn before these are tried again. */
export async function deferChunks(
  client: Client,
  modelId: string,
  ids: readonly string[],
  forMs: number,
): Promise<void> {
  if (ids.length === 0) return;
  await client.query({
    name: 'chat_defer_chunks',
    text: `UPDATE chat.embedding_claim SET until = clock_timestamp() + make_interval(secs => $3 / 1000.0)
            WHERE model_id = $1 AND chunk_id = ANY ($2::uuid[])`,
    values: [modelId, ids, forMs],
  });
}

/** When the sources of these chunks changed, of each once; only of those that were indexed in the last ten minutes. */
export async function lateChanges(client: Client, chunks: readonly { id: string }[]): Promise<Date[]> {
  const { rows } = await client.query<{ changed_at: Date }>({
    name: 'chat_late_changes',
    text: `SELECT s.changed_at FROM chat.source s
            WHERE s.indexed_at > clock_timestamp() - interval '10 minutes'
              AND (s.tenant_id, s.id) IN (SELECT c.tenant_id, c.source_id FROM chat.chunk c WHERE c.id = ANY ($1::uuid[]))`,
    values: [chunks.map(({ id }) => id)],
  });
  return rows.map(({ changed_at }) => changed_at);
}
