/** For tests: a database of its own with chunks and vectors in it, and a retriever as the service has it. */
import { createHash, randomUUIDv7 } from 'node:crypto';
import { createPool, inTransaction, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics, type Metrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import { prepareModels } from '../embedding/prepare.ts';
import { createQueryCache, type QueryCache } from '../embedding/query-cache.ts';
import { embeddingStore } from '../embedding/store.ts';
import { createWordEmbedder, type WordEmbedder } from '../embedding/testing.ts';
import type { Kind } from './chunk.ts';
import { createRetriever, type Retriever } from './retrieve.ts';
import { type RetrievalSettings, readRetrievalSettings } from './settings.ts';

export const log = createLogger({ service: 'chat', level: 'error' });

export type NewChunk = {
  tenant_id: string;
  kind?: Kind;
  title?: string;
  text: string;
  tokens?: number;
  category?: string | null;
  tags?: string[];
  allergens?: string[];
  price?: number | null;
  available?: boolean | null;
  promoted?: boolean;
  changed_at?: Date;
};

export type World = Awaited<ReturnType<typeof startWorld>>;

export async function startWorld() {
  const database = await scratchDatabase();
  const metrics = createMetrics({ service: 'test' });
  const owner = createPool({
    url: database.url,
    max: 2,
    applicationName: 'test-owner',
    // Filling thousands of rows and building their indexes is no request of a service.
    statementTimeoutMs: 0,
    log,
    metrics,
  });
  const pool = poolOf('ragline_chat', 8, database.name);
  const embedder = createWordEmbedder();
  await prepareModels({ pool, model: embedder.model, index: 'hnsw', metadataIndex: 'none', log });

  return {
    database,
    owner,
    pool,
    embedder,
    /** Chunks, each of a source of its own, with their vectors; their ids. */
    async add(chunks: readonly NewChunk[]): Promise<string[]> {
      const rows = chunks.map(rowOf);
      await insert(owner, rows);
      const vectors = await embedder.embed(rows.map(({ text }) => text));
      const found = rows.map(({ id: chunk_id, content_hash }, at) => ({
        chunk_id,
        content_hash,
        embedding: vectors[at] ?? new Float32Array(),
      }));
      await inTransaction(pool, async (client) => {
        await client.query("SELECT set_config('ragline.scope', 'operator', true)");
        await embeddingStore.upsert(client, embedder.model.id, found);
      });
      return rows.map(({ id }) => id);
    },
    retriever: (options: RetrieverOptions = {}) => retrieverOf(pool, embedder, options),
    async stop() {
      await pool.end();
      await owner.end();
      await database.drop();
    },
  };
}

export type RetrieverOptions = {
  settings?: Partial<RetrievalSettings>;
  cache?: QueryCache;
  metrics?: Metrics;
  embedder?: WordEmbedder;
};

/** A retriever of what is indexed there, without a floor of scores. */
export function retrieverOf(pool: Pool, embedder: WordEmbedder, options: RetrieverOptions = {}): Retriever {
  const metrics = options.metrics ?? createMetrics({ service: 'test' });
  const used = options.embedder ?? embedder;
  return createRetriever({
    pool,
    embedders: { of: (id) => (id === used.model.id ? used : undefined) },
    cache: options.cache ?? createQueryCache({ redisUrl: undefined, keptMs: 60_000, log, metrics }),
    settings: { ...readSettings({}, readRetrievalSettings), floorPercent: 0, ...options.settings },
    metrics,
  });
}

function rowOf(chunk: NewChunk) {
  const {
    kind = 'menu',
    title = 'A title',
    tokens = 20,
    tags = [],
    allergens = [],
    promoted = false,
  } = chunk;
  return {
    id: randomUUIDv7(),
    source_id: randomUUIDv7(),
    header: `${kind}: ${title}`,
    content_hash: createHash('sha256').update(chunk.text).digest('hex'),
    category: null,
    price: null,
    available: kind === 'menu' ? true : null,
    changed_at: new Date('2025-01-01T00:00:00Z'),
    ...chunk,
    kind,
    title,
    tokens,
    tags,
    allergens,
    promoted,
  };
}

async function insert(owner: Pool, rows: ReturnType<typeof rowOf>[]): Promise<void> {
  const json = JSON.stringify(rows);
  const given = `jsonb_to_recordset($1::jsonb) AS r(id uuid, tenant_id uuid, source_id uuid, kind text, title text,
    header text, text text, content_hash text, tokens int, category text, tags text[], allergens text[], price bigint,
    available boolean, promoted boolean, changed_at timestamptz)`;
  await owner.query(
    `INSERT INTO chat.source (tenant_id, id, kind, version, title, source, changed_at, indexed_at)
     SELECT tenant_id, source_id, kind, 1, title, '/' || source_id, changed_at, now() FROM ${given}`,
    [json],
  );
  await owner.query(
    `INSERT INTO chat.chunk (id, tenant_id, source_id, kind, ordinal, header, text, content_hash, tokens, category, tags,
       allergens, price, currency, available, promoted, source_changed_at)
     SELECT id, tenant_id, source_id, kind, 0, header, text, content_hash, tokens, category, tags, allergens, price,
       CASE WHEN price IS NOT NULL THEN 'EUR' END, available, promoted, changed_at FROM ${given}`,
    [json],
  );
}
