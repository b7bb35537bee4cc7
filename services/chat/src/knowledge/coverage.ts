/** How much of the knowledge can be found: what is indexed, and what of it has a vector of its present text. */
import type { Client } from '@ragline/postgres/pool';
import { embeddingStore, type ModelState } from '../embedding/store.ts';
import type { Kind } from './chunk.ts';

export type ModelCoverage = {
  id: string;
  version: string;
  dimensions: number;
  state: ModelState;
  chunks: number;
  /** Chunks with a vector of their present text, by its hash. */
  embedded: number;
  missing: number;
  activated_at: string | null;
};

export type KindCoverage = { kind: Kind; sources: number; chunks: number; indexed_at: string | null };

/** Of all tenants that the transaction sees. */
export async function modelCoverage(client: Client): Promise<ModelCoverage[]> {
  const models = await embeddingStore.models(client);
  const coverage: ModelCoverage[] = [];
  for (const { id, version, dimensions, state, table_name, activated_at } of models) {
    const { rows } = await client.query<{ chunks: number; embedded: number }>(
      `SELECT count(*) AS chunks, count(e.chunk_id) AS embedded
         FROM chat.chunk c
         LEFT JOIN chat."${table_name}" e ON e.chunk_id = c.id AND e.content_hash = c.content_hash`,
    );
    const { chunks, embedded } = rows[0] ?? { chunks: 0, embedded: 0 };
    const counted = { chunks, embedded, missing: chunks - embedded };
    const activatedAt = activated_at?.toISOString() ?? null;
    coverage.push({ id, version, dimensions, state, ...counted, activated_at: activatedAt });
  }
  return coverage;
}

export async function kindCoverage(client: Client, tenantId: string): Promise<KindCoverage[]> {
  const { rows } = await client.query<Omit<KindCoverage, 'indexed_at'> & { indexed_at: Date | null }>({
    name: 'chat_kind_coverage',
    text: `SELECT s.kind, count(*) AS sources, max(s.indexed_at) AS indexed_at,
             (SELECT count(*) FROM chat.chunk c WHERE c.tenant_id = $1 AND c.kind = s.kind) AS chunks
             FROM chat.source s WHERE s.tenant_id = $1 AND s.deleted_at IS NULL
            GROUP BY s.kind ORDER BY s.kind`,
    values: [tenantId],
  });
  return rows.map(({ indexed_at, ...row }) => ({ ...row, indexed_at: indexed_at?.toISOString() ?? null }));
}

/** `behind`: documents of which another version than the present one can be found, or none. */
export async function documentCoverage(
  client: Client,
  tenantId: string,
): Promise<{ documents: number; behind: number }> {
  const { rows } = await client.query<{ documents: number; behind: number }>({
    name: 'chat_document_coverage',
    text: `SELECT count(*) AS documents, count(*) FILTER (WHERE s.version IS DISTINCT FROM d.version) AS behind
             FROM chat.document d LEFT JOIN chat.source s ON s.tenant_id = d.tenant_id AND s.id = d.id
            WHERE d.tenant_id = $1 AND d.deleted_at IS NULL`,
    values: [tenantId],
  });
  return rows[0] ?? { documents: 0, behind: 0 };
}
