/** Rows of the index: sources and their chunks. Every function runs in a transaction that sees all tenants. */
import type { Client } from '@ragline/postgres/pool';
import type { KnownChunk, PlannedChunk } from './plan.ts';
import type { IndexedSource } from './source.ts';

export type SourceKey = { tenant_id: string; id: string };
/** `indexed_at`: to the microsecond, as Postgres writes it. */
export type KnownSource = SourceKey & {
  version: number;
  indexed_at: string;
  is_deleted: boolean;
  chunks: KnownChunk[];
};

/** What one change does to the index; `chunks` is empty for a source that is deleted. */
export type SourceWrite = {
  source: Omit<IndexedSource, 'text' | 'facts'>;
  isDeleted: boolean;
  chunks: readonly PlannedChunk[];
  gone: readonly string[];
  /** When that was indexed which the plan was made from; null when the source was unknown. */
  before: string | null;
};

// Far from a statement's time limit, however long a document is.
const chunksAtOnce = 500;

/** Another transaction has changed a source since it was read: the same again, at once. */
export class IndexConflictError extends Error {
  override readonly name = 'IndexConflictError';
  /** As Postgres spells a conflict, which the consumer tries again in place. */
  readonly code = '40001';
}

export async function knownSources(client: Client, keys: readonly SourceKey[]): Promise<KnownSource[]> {
  const { rows } = await client.query<KnownSource>({
    name: 'chat_index_known',
    text: `SELECT s.tenant_id, s.id, s.version, s.indexed_at::text, s.deleted_at IS NOT NULL AS is_deleted,
             (SELECT coalesce(json_agg(json_build_object('id', c.id, 'ordinal', c.ordinal, 'content_hash', c.content_hash)
                                       ORDER BY c.ordinal), '[]')
                FROM chat.chunk c WHERE c.tenant_id = s.tenant_id AND c.source_id = s.id) AS chunks
             FROM unnest($1::uuid[], $2::uuid[]) AS k(tenant_id, id)
             JOIN chat.source s ON s.tenant_id = k.tenant_id AND s.id = k.id`,
    values: [keys.map(({ tenant_id }) => tenant_id), keys.map(({ id }) => id)],
  });
  return rows;
}

/** `gone`: it is deleted, or has changed since. `unseen`: its change cannot be seen here, or not yet. */
export type DocumentText = { state: 'found'; text: string } | { state: 'gone' } | { state: 'unseen' };

/** The text of a document that its event was too small for. */
export async function documentText(
  client: Client,
  { tenant_id, id, version }: SourceKey & { version: number },
): Promise<DocumentText> {
  const { rows } = await client.query<{ body: string; version: number; is_deleted: boolean }>({
    name: 'chat_index_document_text',
    text: `SELECT body, version, deleted_at IS NOT NULL AS is_deleted FROM chat.document
            WHERE tenant_id = $1 AND id = $2`,
    values: [tenant_id, id],
  });
  const [row] = rows;
  if (row === undefined || (row.version < version && !row.is_deleted)) return { state: 'unseen' };
  return row.version === version && !row.is_deleted ? { state: 'found', text: row.body } : { state: 'gone' };
}

/** Writes sources, none of them twice. Throws IndexConflictError when one is no longer as the plan read it. */
export async function writeSources(client: Client, writes: readonly SourceWrite[]): Promise<void> {
  if (writes.length === 0) return;
  const before = Object.fromEntries(
    writes.map((it) => [`${it.source.tenant_id}/${it.source.id}`, it.before]),
  );
  const sources = writes.map(({ source, isDeleted }) => ({ ...source, is_deleted: isDeleted }));
  const { rowCount } = await client.query({
    name: 'chat_index_sources',
    text: `INSERT INTO chat.source AS s (tenant_id, id, kind, version, title, category, tags, allergens, price, currency,
             available, promoted, attributes, source, language, changed_at, indexed_at, deleted_at)
           SELECT tenant_id, id, kind, version, title, category, tags, allergens, price, currency, available, promoted,
                  attributes, source, language, changed_at, clock_timestamp(), CASE WHEN is_deleted THEN changed_at END
             FROM jsonb_to_recordset($1) AS r(tenant_id uuid, id uuid, kind text, version bigint, title text, category text,
                    tags text[], allergens text[], price bigint, currency text, available boolean, promoted boolean,
                    attributes jsonb, source text, language text, changed_at timestamptz, is_deleted boolean)
            ORDER BY tenant_id, id
           ON CONFLICT (tenant_id, id) DO UPDATE SET kind = excluded.kind, version = excluded.version, title = excluded.title,
             category = excluded.category, tags = excluded.tags, allergens = excluded.allergens, price = excluded.price,
             currency = excluded.currency, available = excluded.available, promoted = excluded.promoted,
             attributes = excluded.attributes, source = excluded.source, language = excluded.language,
             changed_at = excluded.changed_at, indexed_at = excluded.indexed_at, deleted_at = excluded.deleted_at
           WHERE s.version <= excluded.version
             AND s.indexed_at = ($2::jsonb ->> (excluded.tenant_id || '/' || excluded.id))::timestamptz`,
    values: [JSON.stringify(sources), JSON.stringify(before)],
  });
  if (rowCount !== writes.length) throw new IndexConflictError('A source was indexed by another transaction');
  await deleteChunks(
    client,
    writes.flatMap(({ gone }) => gone),
  );
  await writeChunks(client, writes);
}

async function deleteChunks(client: Client, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await client.query({
    name: 'chat_index_delete_chunks',
    text: 'DELETE FROM chat.chunk WHERE id = ANY ($1::uuid[])',
    values: [ids],
  });
}

async function writeChunks(client: Client, writes: readonly SourceWrite[]): Promise<void> {
  const chunks = writes.flatMap(({ source, chunks }) => chunks.map((chunk) => chunkRow(source, chunk)));
  for (let at = 0; at < chunks.length; at += chunksAtOnce) {
    await writeSlice(client, chunks.slice(at, at + chunksAtOnce));
  }
}

async function writeSlice(client: Client, chunks: readonly ReturnType<typeof chunkRow>[]): Promise<void> {
  await client.query({
    name: 'chat_index_chunks',
    text: `INSERT INTO chat.chunk (id, tenant_id, source_id, kind, ordinal, header, text, content_hash, tokens, language,
             category, tags, allergens, price, currency, available, promoted, source_changed_at)
           SELECT id, tenant_id, source_id, kind, ordinal, header, text, content_hash, tokens, language,
                  category, tags, allergens, price, currency, available, promoted, source_changed_at
             FROM jsonb_to_recordset($1) AS r(id uuid, tenant_id uuid, source_id uuid, kind text, ordinal int, header text,
                    text text, content_hash text, tokens int, language text, category text, tags text[], allergens text[],
                    price bigint, currency text, available boolean, promoted boolean, source_changed_at timestamptz)
           ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, ordinal = excluded.ordinal, header = excluded.header,
             text = excluded.text, content_hash = excluded.content_hash, tokens = excluded.tokens,
             language = excluded.language, category = excluded.category, tags = excluded.tags,
             allergens = excluded.allergens, price = excluded.price, currency = excluded.currency,
             available = excluded.available, promoted = excluded.promoted, source_changed_at = excluded.source_changed_at`,
    values: [JSON.stringify(chunks)],
  });
}

function chunkRow(source: SourceWrite['source'], { isNew: _, ...chunk }: PlannedChunk) {
  const { tenant_id, id, kind, language, category, tags, allergens } = source;
  const { price, currency, available, promoted, changed_at } = source;
  const facts = { category, tags, allergens, price, currency, available, promoted };
  return { ...chunk, tenant_id, source_id: id, kind, language, ...facts, source_changed_at: changed_at };
}
