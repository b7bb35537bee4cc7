/** For tests: an index of its own on the real Postgres, with an embedder that counts what it is asked. */
import { randomUUIDv7 } from 'node:crypto';
import { type Client, createPool, inTransaction, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { aDocumentEvent } from '@ragline/schemas/samples';
import type { CatalogEvent, Product } from '@ragline/schemas/types.generated';
import type { DecodedEvent } from '@ragline/streams/record';
import { embeddingStore } from '../embedding/store.ts';
import { createWordEmbedder, type WordEmbedder } from '../embedding/testing.ts';
import { usualLimits } from './chunk.ts';
import { createIndexing, type IndexParts } from './index-consumer.ts';
import { forAllTenants } from './scope.ts';

export const quietLog = createLogger({ service: 'chat', level: 'error' });

export type IndexScene = Awaited<ReturnType<typeof openIndex>>;

export async function openIndex() {
  const database = await scratchDatabase();
  const pool = poolOf('ragline_chat', 8, database.name);
  const owner = poolAt(database.url);
  const embedder = createWordEmbedder();
  await embeddingStore.register(pool, embedder.model);
  await embeddingStore.activate(pool, embedder.model.id);
  const metrics = createMetrics({ service: 'chat' });
  let missed = 0;

  const indexWith = (changes: Partial<IndexParts> = {}) =>
    createIndexing({
      pool,
      models: { inUse: async () => ({ active: embedder, others: [] }) },
      limits: usualLimits,
      log: quietLog,
      metrics,
      onMissing() {
        missed += 1;
      },
      ...changes,
    });

  return {
    /** Of the database, for its owner. */
    url: database.url,
    pool,
    embedder,
    metrics,
    indexWith,
    missed: () => missed,
    /** Handles the events as one batch, all of them for the first time. */
    index: (...events: CatalogEvent[]) => indexWith()(events.map(decoded), onceIn(pool)),
    all: <R extends object>(text: string, values: unknown[] = []) =>
      forAllTenants(pool, async (client) => (await client.query<R>(text, values)).rows),
    /** As the owner of the database, whom no policy holds. */
    owner: async <R extends object>(text: string, values: unknown[] = []) =>
      (await owner.query<R>(text, values)).rows,
    async close() {
      await owner.end();
      await pool.end();
      await database.drop();
    },
  };
}

function poolAt(url: string): Pool {
  const metrics = createMetrics({ service: 'test' });
  return createPool({ url, max: 2, applicationName: 'chat-test-owner', log: quietLog, metrics });
}

/** What startConsumer gives a handler, for events that were not handled before unless they are named. */
export function onceIn(pool: Pool, handled: readonly string[] = []) {
  return {
    signal: AbortSignal.timeout(30_000),
    once: <T>(effect: (client: Client, fresh: ReadonlySet<string>) => Promise<T>) =>
      inTransaction(pool, (client) =>
        effect(client, { has: (id: string) => !handled.includes(id) } as Set<string>),
      ),
  };
}

export function decoded(value: CatalogEvent): DecodedEvent {
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

export function aProduct(fields: Partial<Product> = {}): Product {
  const now = new Date().toISOString();
  return {
    id: randomUUIDv7(),
    tenant_id: randomUUIDv7(),
    name: 'Margherita',
    description: 'Tomato, mozzarella, basil',
    category: 'pizza',
    tags: ['Vegetarian'],
    price: 890,
    currency: 'EUR',
    available: true,
    attributes: { sku: 'x', kcal: 840, allergens: ['Gluten', 'milk'] },
    version: 1,
    created_at: now,
    updated_at: now,
    ...fields,
  };
}

export function productEvent(
  product: Product,
  event_type: 'product_changed' | 'product_deleted' = 'product_changed',
): CatalogEvent {
  const { tenant_id, updated_at: occurred_at } = product;
  return {
    event_id: randomUUIDv7(),
    event_type,
    occurred_at,
    tenant_id,
    actor_id: randomUUIDv7(),
    product,
    document: null,
  };
}

/** The event of a document with these fields. */
export function documentEvent(fields: Partial<NonNullable<CatalogEvent['document']>>): CatalogEvent {
  const event = aDocumentEvent();
  const document = event.document && { ...event.document, ...fields };
  return { ...event, tenant_id: document?.tenant_id ?? event.tenant_id, document };
}

export type { WordEmbedder };
