/** Rows of what is to be indexed again. Every function runs in a transaction that sees all tenants. */
import type { Client } from '@ragline/postgres/pool';

export type ReindexItem = {
  tenant_id: string;
  id: string;
  version: number;
  /** As it was written; undefined for a document, and for what is gone. */
  product: unknown;
  is_deleted: boolean;
  changed_at: Date;
  attempts: number;
  document: DocumentRow | null;
};

export type DocumentRow = {
  kind: string;
  title: string;
  text: string;
  source: string;
  language: string | null;
  content_hash: string;
  version: number;
  is_deleted: boolean;
  created_at: string;
  updated_at: string;
};

/** After so many nobody tries it again, until it is asked for anew. */
export const attemptsMax = 5;

/** Some that nobody works at, ours for `leaseMs`; who dies over them has made an attempt. */
export async function takeItems(
  client: Client,
  { limit, leaseMs }: { limit: number; leaseMs: number },
): Promise<ReindexItem[]> {
  const { rows } = await client.query<ReindexItem>({
    name: 'chat_reindex_take',
    text: `WITH next AS (
             SELECT tenant_id, id FROM chat.reindex_item
              WHERE leased_until < clock_timestamp() AND attempts < $1
              ORDER BY leased_until, tenant_id, id LIMIT $2 FOR UPDATE SKIP LOCKED)
           UPDATE chat.reindex_item r
              SET attempts = attempts + 1, leased_until = clock_timestamp() + make_interval(secs => $3 / 1000.0)
             FROM next n
             LEFT JOIN chat.document d ON d.tenant_id = n.tenant_id AND d.id = n.id
            WHERE r.tenant_id = n.tenant_id AND r.id = n.id
           RETURNING r.tenant_id, r.id, r.version, r.product, r.is_deleted, r.changed_at, r.attempts,
             CASE WHEN d.id IS NOT NULL THEN jsonb_build_object('kind', d.kind, 'title', d.title, 'text', d.body,
               'source', d.source, 'language', d.language, 'content_hash', d.content_hash, 'version', d.version,
               'is_deleted', d.deleted_at IS NOT NULL, 'created_at', d.created_at, 'updated_at', d.updated_at) END AS document`,
    values: [attemptsMax, limit, leaseMs],
  });
  return rows;
}

/** What was asked for anew meanwhile, in a newer version, stays. */
export async function removeItems(client: Client, items: readonly ReindexItem[]): Promise<void> {
  await client.query({
    name: 'chat_reindex_done',
    text: `DELETE FROM chat.reindex_item r USING unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS done(tenant_id, id, version)
            WHERE r.tenant_id = done.tenant_id AND r.id = done.id AND r.version = done.version`,
    values: columnsOf(items),
  });
}

/** Lets go of items until later; `isOurs`: it was no fault of theirs, and no attempt. */
export async function releaseItems(
  client: Client,
  items: readonly ReindexItem[],
  { forMs, isOurs }: { forMs: number; isOurs: boolean },
): Promise<void> {
  await client.query({
    name: 'chat_reindex_release',
    text: `UPDATE chat.reindex_item r
              SET attempts = attempts - $5::int, leased_until = clock_timestamp() + make_interval(secs => $4 / 1000.0)
             FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS given(tenant_id, id, version)
            WHERE r.tenant_id = given.tenant_id AND r.id = given.id AND r.version = given.version AND r.attempts > 0`,
    values: [...columnsOf(items), forMs, isOurs ? 1 : 0],
  });
}

const columnsOf = (items: readonly ReindexItem[]) => [
  items.map(({ tenant_id }) => tenant_id),
  items.map(({ id }) => id),
  items.map(({ version }) => version),
];
