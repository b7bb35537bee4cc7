/** What a change of the embedding model asks and tells of the models' rows. */
import type { Client } from '@ragline/postgres/pool';

type Db = Pick<Client, 'query'>;

/** Tokens of the longest chunk, as counted when it was made; 0 without any. */
export async function longestChunk(client: Db): Promise<number> {
  const { rows } = await client.query<{ tokens: number }>(
    'SELECT coalesce(max(tokens), 0) AS tokens FROM chat.chunk',
  );
  return rows[0]?.tokens ?? 0;
}

/** A retired model is filled again; any other stays what it is. */
export async function fillAgain(db: Db, id: string): Promise<void> {
  await db.query("UPDATE chat.embedding_model SET state = 'filling' WHERE id = $1 AND state = 'retired'", [
    id,
  ]);
}

/** False for the active one, and for one that is unknown. */
export async function retireModel(db: Db, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    "UPDATE chat.embedding_model SET state = 'retired' WHERE id = $1 AND state <> 'active'",
    [id],
  );
  return rowCount === 1;
}

/** The one that was active before the present one, when it is still filled. */
export async function modelBefore(client: Db): Promise<string | undefined> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT id FROM chat.embedding_model WHERE state = 'filling' AND activated_at IS NOT NULL
      ORDER BY activated_at DESC LIMIT 1`,
  );
  return rows[0]?.id;
}
