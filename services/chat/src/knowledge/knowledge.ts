/**
 * Knowledge, put together: documents over REST, and the index that follows them and the catalogue.
 *
 *   POST document → chat.document + outbox → catalog.v1 ┐
 *   products (orders) ─────────────────────→ catalog.v1 ┴ group chat-index → chat.source, chat.chunk, vectors
 */
import { createIdempotencyStore } from '@ragline/postgres/idempotency';
import type { Pool } from '@ragline/postgres/pool';
import type { Health } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { CatalogEvent } from '@ragline/schemas/types.generated';
import { startConsumer } from '@ragline/streams/consumer';
import type { Kafka } from '@ragline/streams/kafka-client';
import type { Producer } from '@ragline/streams/producer';
import type { RetryOptions } from '@ragline/streams/run-parts';
import type { Api } from '@ragline/web/api';
import type { Embedder } from '../embedding/embedder.ts';
import { documentWriting } from './documents.ts';
import { startFilling } from './fill.ts';
import { addDocumentRoutes } from './http-documents.ts';
import { addModelRoutes } from './http-models.ts';
import { createIndexing, indexGroupId } from './index-consumer.ts';
import { createModels } from './models.ts';
import { createParser } from './parse/parse.ts';
import { startReindexing } from './reindex.ts';
import type { KnowledgeSettings } from './settings.ts';

export type KnowledgeParts = {
  settings: KnowledgeSettings;
  pool: Pool;
  codec: Codec;
  embedders: { of(id: string): Embedder | undefined };
  log: Logger;
  metrics: Metrics;
};

export type Knowledge = ReturnType<typeof createKnowledge>;

/** Starts nothing: `fill` and `follow` do. The first model has to be registered before either. */
export function createKnowledge({ settings, pool, codec, embedders, log, metrics }: KnowledgeParts) {
  const models = createModels({ pool, embedders, log });
  let encoder: Promise<(event: CatalogEvent) => Buffer> | undefined;
  const writing = documentWriting({
    pool,
    idempotency: createIdempotencyStore(pool, 'chat'),
    encoder() {
      encoder ??= codec.encoder('catalog_v1').catch((error: unknown) => {
        encoder = undefined;
        throw error;
      });
      return encoder;
    },
    documentsMax: settings.documentsMax,
  });
  const { lettersMax, parseDeadlineMs: deadlineMs, limits, chunksMax } = settings;
  const parser = createParser({ lettersMax, deadlineMs });
  let wake = () => {};
  const indexing = { pool, models, limits, log, metrics };

  return {
    addRoutes(api: Api): void {
      addDocumentRoutes(api, { pool, writing, parser, limits, chunksMax });
      addModelRoutes(api, { pool, models, filling: { wake: () => wake() } });
    },

    /** Embeds what is missing, until it is stopped. */
    fill() {
      const filling = startFilling({ pool, models, log, metrics });
      wake = filling.wake;
      return filling;
    },

    /** Works off what is to be indexed again, until it is stopped. */
    reindex() {
      const index = createIndexing({ ...indexing, onMissing: () => wake() });
      return startReindexing({ pool, index, log });
    },

    /** Joins the group chat-index. */
    follow(
      parts: {
        kafka: Kafka;
        producer: Producer;
        health: Health;
        stopWithinMs: number;
        concurrency?: number;
      } & Pick<RetryOptions, 'retry' | 'floodGuard' | 'failpoints'>,
    ) {
      return startConsumer({
        // One batch at a time embeds, one writes: more would only stand in each other's way.
        concurrency: 2,
        ...parts,
        groupId: indexGroupId,
        topics: [topics.catalog],
        order: 'by-key',
        codec,
        handleBatch: createIndexing({ ...indexing, onMissing: () => wake() }),
        pool,
        log,
        metrics,
      });
    },
  };
}
