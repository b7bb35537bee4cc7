/** Who embeds which missing chunk. In a transaction that sees all tenants. */
import type { Client } from '@ragline/postgres/pool';

/** Of the chunks those that nobody has claimed, as many as a batch, claimed now for `leaseMs`. */
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
             SELECT c.id, c.tenant_id FROM chat.chunk c
              WHERE c.id = ANY ($2::uuid[])
                AND NOT EXISTS (SELECT FROM chat.embedding_claim e
                                 WHERE e.model_id = $1 AND e.chunk_id = c.id AND e.until > clock_timestamp())
              LIMIT $3 FOR NO KEY UPDATE OF c SKIP LOCKED)
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
