/** The sample tenants as the service knows them: indexed by its own consumer, searched by its own retriever. */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { type Client, inTransaction, type Pool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import type { CatalogEvent } from '@ragline/schemas/types.generated';
import type { DecodedEvent } from '@ragline/streams/record';
import type { Embedder } from '../../../../services/chat/src/embedding/embedder.ts';
import { createEmbedders } from '../../../../services/chat/src/embedding/embedders.ts';
import { prepareModels } from '../../../../services/chat/src/embedding/prepare.ts';
import { createQueryCache } from '../../../../services/chat/src/embedding/query-cache.ts';
import { readEmbeddingSettings } from '../../../../services/chat/src/embedding/settings.ts';
import { embeddingStore } from '../../../../services/chat/src/embedding/store.ts';
import { embeddedText, usualLimits } from '../../../../services/chat/src/knowledge/chunk.ts';
import { createIndexing } from '../../../../services/chat/src/knowledge/index-consumer.ts';
import { forAllTenants } from '../../../../services/chat/src/knowledge/scope.ts';
import { createRetriever, type Retriever } from '../../../../services/chat/src/retrieval/retrieve.ts';
import { readRetrievalSettings } from '../../../../services/chat/src/retrieval/settings.ts';

const log = createLogger({ service: 'eval', level: 'error' });
export const metrics = createMetrics({ service: 'eval' });
const eventsAtOnce = 50;

export type Entry = Pick<CatalogEvent, 'product' | 'document'>;

export type World = {
  retriever: Retriever;
  embedder: Embedder;
  /** Indexes what one tenant has; the tenant's id. */
  index(entries: readonly Entry[]): Promise<string>;
  stop(): Promise<void>;
};

/** @param pool to a migrated database of its own, as the role of the chat service */
export async function openWorld(pool: Pool, modelFolder: string): Promise<World> {
  const env = { EMBEDDING_MODEL_DIR: modelFolder };
  const embedders = createEmbedders(readSettings(env, readEmbeddingSettings), { log, metrics });
  const embedder = embedders.preferred;
  const settings = readSettings(env, readRetrievalSettings);
  await prepareModels({ pool, model: embedder.model, index: 'hnsw', metadataIndex: 'none', log });
  const cache = createQueryCache({ redisUrl: undefined, keptMs: 60_000, log, metrics });
  const indexing = createIndexing({
    pool,
    models: { inUse: async () => ({ active: embedder, others: [] }) },
    limits: usualLimits,
    log,
    metrics,
    // What it leaves is filled below.
    onMissing() {},
  });

  async function indexBatch(events: readonly CatalogEvent[]): Promise<void> {
    const fresh = new Set(events.map(({ event_id }) => event_id));
    await indexing(events.map(decoded), {
      signal: AbortSignal.timeout(600_000),
      once: <T>(effect: (client: Client, fresh: ReadonlySet<string>) => Promise<T>) =>
        inTransaction(pool, (client) => effect(client, fresh)),
    });
  }

  return {
    embedder,
    retriever: createRetriever({ pool, embedders, cache, settings, metrics }),
    async index(entries) {
      const tenantId = randomUUID();
      const events = entries.map((entry) => eventOf(tenantId, entry));
      for (let at = 0; at < events.length; at += eventsAtOnce) {
        await indexBatch(events.slice(at, at + eventsAtOnce));
      }
      await fillGaps(pool, embedder);
      return tenantId;
    },
    stop: () => embedders.stop(),
  };
}

/** As the service does in the background: what a batch was too large for. */
async function fillGaps(pool: Pool, embedder: Embedder): Promise<void> {
  const { id } = embedder.model;
  for (;;) {
    const missing = await forAllTenants(pool, (client) => embeddingStore.missing(client, id, eventsAtOnce));
    if (missing.length === 0) return;
    const vectors = await embedder.embed(missing.map(({ header, text }) => embeddedText(header, text)));
    const rows = missing.map((chunk, at) => ({
      chunk_id: chunk.id,
      content_hash: chunk.content_hash,
      embedding: vectors[at] ?? new Float32Array(),
    }));
    await forAllTenants(pool, (client) => embeddingStore.upsert(client, id, rows));
  }
}

function eventOf(tenantId: string, { product, document }: Entry): CatalogEvent {
  return {
    event_id: randomUUIDv7(),
    event_type: product === null ? 'document_changed' : 'product_changed',
    occurred_at: new Date().toISOString(),
    tenant_id: tenantId,
    actor_id: randomUUID(),
    product: product && { ...product, tenant_id: tenantId },
    document: document && { ...document, tenant_id: tenantId },
  };
}

function decoded(value: CatalogEvent): DecodedEvent {
  const { event_id, event_type, tenant_id, actor_id: user_id } = value;
  const place = {
    topic: 'catalog.v1',
    partition: 0,
    offset: '0',
    key: null,
    headers: {},
    timestamp: Date.now(),
  };
  return { ...place, event_id, event_type, tenant_id, user_id, schema_id: 1, schema: 'catalog_v1', value };
}
