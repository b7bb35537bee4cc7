/** Rows of documents. Every function runs in its caller's transaction, which is its tenant's. */
import type { Client } from '@ragline/postgres/pool';
import type { MediaType } from './parse/parsed.ts';

export const documentKinds = ['policy', 'faq', 'note'] as const;
export type DocumentKind = (typeof documentKinds)[number];

/** A document as its readers see it, without its text; `letters` is how long that is. */
export type DocumentHead = {
  id: string;
  kind: DocumentKind;
  title: string;
  media_type: MediaType;
  /** '' when it was not told. */
  source: string;
  language: string | null;
  attributes: Record<string, unknown>;
  content_hash: string;
  version: number;
  letters: number;
  created_at: string;
  updated_at: string;
};

/** `indexed_version`: which of its versions can be found; null as long as none can. */
export type ListedDocument = DocumentHead & { indexed_version: number | null };
export type DocumentWithText = ListedDocument & { text: string };

type Row = Omit<DocumentWithText, 'created_at' | 'updated_at'> & { created_at: Date; updated_at: Date };

const columns = `d.id, d.kind, d.title, d.media_type, d.source, d.language, d.attributes, d.content_hash, d.version,
  length(d.body) AS letters, d.created_at, d.updated_at,
  (SELECT s.version FROM chat.source s WHERE s.tenant_id = d.tenant_id AND s.id = d.id AND s.deleted_at IS NULL) AS indexed_version`;

/** Newest first, one row more than the limit when there are more. */
export async function listDocuments(
  client: Client,
  tenantId: string,
  page: { kind: DocumentKind | undefined; before: string | undefined; limit: number },
): Promise<ListedDocument[]> {
  const { rows } = await client.query<Omit<Row, 'text'>>({
    name: 'chat_documents',
    text: `SELECT ${columns} FROM chat.document d
            WHERE d.tenant_id = $1 AND d.deleted_at IS NULL
              AND ($2::text IS NULL OR d.kind = $2) AND ($3::uuid IS NULL OR d.id < $3)
            ORDER BY d.id DESC LIMIT $4`,
    values: [tenantId, page.kind ?? null, page.before ?? null, page.limit + 1],
  });
  return rows.map(withTimes);
}

export async function findDocument(
  client: Client,
  tenantId: string,
  id: string,
): Promise<DocumentWithText | undefined> {
  const { rows } = await client.query<Row>({
    name: 'chat_document',
    text: `SELECT ${columns}, d.body AS text FROM chat.document d
            WHERE d.tenant_id = $1 AND d.id = $2 AND d.deleted_at IS NULL`,
    values: [tenantId, id],
  });
  return rows[0] && withTimes(rows[0]);
}

/** The document to be changed; whoever else wants to change it waits. */
export async function lockDocument(
  client: Client,
  tenantId: string,
  by: { id: string } | { source: string },
): Promise<DocumentWithText | undefined> {
  const [column, value] = 'id' in by ? ['id', by.id] : ['source', by.source];
  const { rows } = await client.query<Row>({
    name: `chat_document_lock_${column}`,
    text: `SELECT ${columns}, d.body AS text FROM chat.document d
            WHERE d.tenant_id = $1 AND d.${column} = $2 AND d.deleted_at IS NULL FOR UPDATE`,
    values: [tenantId, value],
  });
  return rows[0] && withTimes(rows[0]);
}

/** One import of a source at a time: two that begin together would both make a document. Until the transaction ends. */
export async function lockSource(client: Client, tenantId: string, source: string): Promise<void> {
  await client.query({
    name: 'chat_document_source_lock',
    text: `SELECT pg_advisory_xact_lock(hashtextextended('chat.document/' || $1 || '/' || $2, 0))`,
    values: [tenantId, source],
  });
}

export async function countDocuments(client: Client, tenantId: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>({
    name: 'chat_document_count',
    text: 'SELECT count(*) AS count FROM chat.document WHERE tenant_id = $1 AND deleted_at IS NULL',
    values: [tenantId],
  });
  return rows[0]?.count ?? 0;
}

export async function insertDocument(
  client: Client,
  { tenant_id, user_id }: { tenant_id: string; user_id: string },
  document: DocumentHead & { text: string },
): Promise<void> {
  await client.query({
    name: 'chat_document_insert',
    text: `INSERT INTO chat.document (id, tenant_id, kind, title, body, media_type, source, language, attributes,
             content_hash, version, created_by, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
    values: [
      document.id,
      tenant_id,
      document.kind,
      document.title,
      document.text,
      document.media_type,
      document.source,
      document.language,
      JSON.stringify(document.attributes),
      document.content_hash,
      document.version,
      user_id,
      document.created_at,
      document.updated_at,
    ],
  });
}

export async function updateDocument(
  client: Client,
  tenantId: string,
  document: DocumentHead & { text: string },
): Promise<void> {
  await client.query({
    name: 'chat_document_update',
    text: `UPDATE chat.document SET kind = $3, title = $4, body = $5, media_type = $6, language = $7, attributes = $8,
             content_hash = $9, version = $10, updated_at = $11
            WHERE tenant_id = $1 AND id = $2`,
    values: [
      tenantId,
      document.id,
      document.kind,
      document.title,
      document.text,
      document.media_type,
      document.language,
      JSON.stringify(document.attributes),
      document.content_hash,
      document.version,
      document.updated_at,
    ],
  });
}

/** What it said is gone at once; the row stays for its version. */
export async function markDeleted(
  client: Client,
  tenantId: string,
  { id, version, updated_at }: Pick<DocumentHead, 'id' | 'version' | 'updated_at'>,
): Promise<void> {
  await client.query({
    name: 'chat_document_delete',
    text: `UPDATE chat.document SET body = '', attributes = '{}', version = $3, updated_at = $4, deleted_at = $4
            WHERE tenant_id = $1 AND id = $2`,
    values: [tenantId, id, version, updated_at],
  });
}

function withTimes<R extends { created_at: Date; updated_at: Date }>(row: R) {
  return { ...row, created_at: row.created_at.toISOString(), updated_at: row.updated_at.toISOString() };
}
