/** Models and their vectors in Postgres. Callers open the transaction: a tenant's, or one for all (scope 'operator'). */
import type { Pool } from '@ragline/postgres/pool';
import type { EmbeddingModel } from './embedder.ts';

/** active: searched; filling: kept up to date beside it, to be switched to, or back to; retired: no longer written. */
export type ModelState = 'filling' | 'active' | 'retired';
export type RegisteredModel = {
  id: string;
  version: string;
  dimensions: number;
  table_name: string;
  state: ModelState;
  activated_at: Date | null;
};
export type NewVector = { chunk_id: string; content_hash: string; embedding: Float32Array };
/** A chunk that has no vector of its present text. */
export type MissingVector = {
  id: string;
  tenant_id: string;
  header: string;
  text: string;
  content_hash: string;
};

type Db = Pick<Pool, 'query'>;

export const embeddingStore = {
  /** Registers a model and makes its table, when they are not there. Throws when its id belongs to another version. */
  async register(client: Db, { id, version, dimensions }: EmbeddingModel): Promise<string> {
    const { rows } = await client.query<{ name: string }>(
      'SELECT chat.create_embedding_table($1, $2, $3) AS name',
      [id, version, dimensions],
    );
    return rows[0]?.name ?? '';
  },

  /** All models, oldest first. */
  async models(client: Db): Promise<RegisteredModel[]> {
    const { rows } = await client.query<RegisteredModel>(
      'SELECT id, version, dimensions, table_name, state, activated_at FROM chat.embedding_model ORDER BY created_at, id',
    );
    return rows;
  },

  /** Searches this model from now on; the one before goes on being filled. False when the model is unknown. */
  async activate(client: Db, id: string): Promise<boolean> {
    // Two switches at once take turns.
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended('chat.embedding_model', 0))");
    await client.query(
      "UPDATE chat.embedding_model SET state = 'filling' WHERE state = 'active' AND id <> $1",
      [id],
    );
    const { rowCount } = await client.query(
      "UPDATE chat.embedding_model SET state = 'active', activated_at = now() WHERE id = $1",
      [id],
    );
    return rowCount === 1;
  },

  /**
   * Stores vectors; how many. The tenant is the chunk's. A vector of a text that the chunk no longer has, or of a
   * chunk that is gone, is left out.
   */
  async upsert(client: Db, modelId: string, rows: readonly NewVector[]): Promise<number> {
    if (rows.length === 0) return 0;
    const table = await tableOf(client, modelId);
    const { rowCount } = await client.query(
      `INSERT INTO chat.${table} AS e (chunk_id, tenant_id, content_hash, embedding)
       SELECT c.id, c.tenant_id, c.content_hash, v.embedding::halfvec
         FROM unnest($1::uuid[], $2::text[], $3::text[]) AS v(chunk_id, content_hash, embedding)
         JOIN chat.chunk c ON c.id = v.chunk_id AND c.content_hash = v.content_hash
       ON CONFLICT (chunk_id) DO UPDATE SET content_hash = excluded.content_hash, embedding = excluded.embedding`,
      [
        rows.map(({ chunk_id }) => chunk_id),
        rows.map(({ content_hash }) => content_hash),
        rows.map(({ embedding }) => vectorText(embedding)),
      ],
    );
    return rowCount ?? 0;
  },

  /**
   * Chunks without a vector of their present text that nobody has claimed; of all whom the transaction may see: each
   * tenant's newest, then each one's next, so that nobody waits behind another's heap.
   */
  async missing(client: Db, modelId: string, limit: number): Promise<MissingVector[]> {
    const table = await tableOf(client, modelId);
    const { rows } = await client.query<MissingVector>(
      `SELECT c.id, c.tenant_id, c.header, c.text, c.content_hash
         FROM (SELECT gap.id, gap.turn
                 FROM (SELECT c.id, row_number() OVER (PARTITION BY c.tenant_id ORDER BY c.id DESC) AS turn
                         FROM chat.chunk c LEFT JOIN chat.${table} e ON e.chunk_id = c.id AND e.content_hash = c.content_hash
                        WHERE e.chunk_id IS NULL
                          AND NOT EXISTS (SELECT FROM chat.embedding_claim k
                                           WHERE k.model_id = $2 AND k.chunk_id = c.id AND k.until > clock_timestamp())
                      ) AS gap
                WHERE gap.turn <= $1 ORDER BY gap.turn, gap.id LIMIT $1) AS next
         JOIN chat.chunk c ON c.id = next.id
        ORDER BY next.turn, next.id`,
      [limit, modelId],
    );
    return rows;
  },
};

/** As pgvector reads it. */
export function vectorText(vector: Float32Array): string {
  return `[${vector.join(',')}]`;
}

async function tableOf(client: Db, modelId: string): Promise<string> {
  const { rows } = await client.query<{ table_name: string }>(
    'SELECT table_name FROM chat.embedding_model WHERE id = $1',
    [modelId],
  );
  const name = rows[0]?.table_name;
  if (name === undefined) throw new Error(`The embedding model ${modelId} is not registered`);
  return `"${name}"`;
}
