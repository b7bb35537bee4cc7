/**
 * Indexes again what is asked for in `chat.reindex_item`: from the product that stands there, or from the document of that
 * id, never from Kafka, whose records may be gone (docs/decisions/0182). Every instance looks, and takes what the others have
 * not; what it leaves by dying is another's after a minute.
 */
import { randomUUIDv7 } from 'node:crypto';
import { type Client, inTransaction, type Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { CatalogEvent } from '@ragline/schemas/types.generated';
import { failureOf } from '@ragline/streams/errors';
import type { DecodedEvent } from '@ragline/streams/record';
import { z } from 'zod';
import type { createIndexing } from './index-consumer.ts';
import { attemptsMax, type ReindexItem, releaseItems, removeItems, takeItems } from './reindex-store.ts';
import { forAllTenants, seeAllTenants } from './scope.ts';

export type Reindexing = ReturnType<typeof startReindexing>;

// Few, so that changes have their turn with the embedding model.
const batchSize = 10;
const leaseMs = 60_000;
const idleMs = 3_000;
const awayMs = 5_000;

const product = z.object({
  name: z.string(),
  description: z.string(),
  category: z.string().nullable(),
  tags: z.array(z.string()),
  price: z.int(),
  currency: z.string(),
  available: z.boolean(),
  attributes: z.record(z.string(), z.unknown()),
});

export function startReindexing(parts: {
  pool: Pool;
  index: ReturnType<typeof createIndexing>;
  log: Logger;
  everyMs?: number;
}) {
  const { pool, index, log, everyMs = idleMs } = parts;
  const stopped = new AbortController();
  let wake = () => {};

  /** Together; one by one when that fails, so that one keeps no other back. */
  async function work(items: readonly ReindexItem[]): Promise<void> {
    try {
      await indexAgain(items);
    } catch (error) {
      if (stopped.signal.aborted) throw error;
      const { kind } = failureOf(error);
      const isOurs = kind === 'unavailable' || kind === 'conflict';
      if (items.length > 1 && kind !== 'unavailable') {
        for (const item of items) await work([item]);
        return;
      }
      const left = Math.min(...items.map(({ attempts }) => attemptsMax - attempts));
      log.warn('sources could not be indexed again', {
        sources: items.length,
        error,
        ...(isOurs ? {} : { left }),
      });
      const forMs = kind === 'conflict' ? 0 : awayMs;
      await forAllTenants(pool, (client) => releaseItems(client, items, { forMs, isOurs }));
      if (kind === 'unavailable') await pause(awayMs);
    }
  }

  async function indexAgain(items: readonly ReindexItem[]): Promise<void> {
    const events = items.flatMap((item) => eventOf(item) ?? []);
    const fresh = new Set(events.map(({ event_id }) => event_id));
    await index(events.map(decodedOf), {
      isAgain: true,
      signal: stopped.signal,
      once: <T>(effect: (client: Client, unhandled: ReadonlySet<string>) => Promise<T>) =>
        inTransaction(pool, async (client) => {
          await seeAllTenants(client);
          await removeItems(client, items);
          return effect(client, fresh);
        }),
    });
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        const items = await forAllTenants(pool, (client) => takeItems(client, { limit: batchSize, leaseMs }));
        if (items.length > 0) {
          await work(items);
          continue;
        }
      } catch (error) {
        if (!stopped.signal.aborted) log.warn('what is to be indexed again cannot be read', { error });
      }
      await pause(everyMs);
    }
  }

  function pause(ms: number): Promise<void> {
    if (stopped.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      // Instances that started together do not look together.
      const timer = setTimeout(resolve, ms * (0.75 + Math.random() / 2));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  const running = run();
  return {
    async stop(): Promise<void> {
      stopped.abort(new Error('stopping'));
      wake();
      await running;
    },
  };
}

/** The item as its event would say it; undefined where there is nothing to be done. Throws ZodError for what is no product. */
export function eventOf(item: ReindexItem): CatalogEvent | undefined {
  const { tenant_id, id, version, document } = item;
  const occurred_at = item.changed_at.toISOString();
  const times = { created_at: occurred_at, updated_at: occurred_at };
  const head = { event_id: randomUUIDv7(), tenant_id, actor_id: nobody };
  if (item.product !== null && !item.is_deleted) {
    const snapshot = { id, tenant_id, version, ...product.parse(item.product), ...times };
    return { ...head, event_type: 'product_changed', occurred_at, product: snapshot, document: null };
  }
  if (document !== null && !document.is_deleted) {
    const { is_deleted: _, ...fields } = document;
    const changedAt = new Date(document.updated_at).toISOString();
    const snapshot = { id, tenant_id, ...fields };
    return {
      ...{ ...head, event_type: 'document_changed', occurred_at: changedAt },
      ...{ product: null, document: snapshot },
    };
  }
  // Gone, whatever it was: a tombstone has nothing but its version.
  const version_of = Math.max(version, document?.version ?? 0);
  const nothing = { name: '', description: '', category: null, tags: [], price: 0, currency: 'XXX' };
  const gone = { id, tenant_id, version: version_of, ...nothing, available: false, attributes: {}, ...times };
  return { ...head, event_type: 'product_deleted', occurred_at, product: gone, document: null };
}

const nobody = '00000000-0000-0000-0000-000000000000';

function decodedOf(value: CatalogEvent): DecodedEvent {
  const { event_id, event_type, tenant_id, actor_id: user_id } = value;
  const place = { topic: 'none', partition: 0, offset: '0', key: null, headers: {}, timestamp: Date.now() };
  return { ...place, event_id, event_type, tenant_id, user_id, schema_id: 0, schema: 'catalog_v1', value };
}
