/** Fills gaps: embeds chunks that have no vector of their present text, for every model in use, on every instance. */
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { failureOf } from '@ragline/streams/errors';
import type { Embedder } from '../embedding/embedder.ts';
import { embeddingStore, type MissingVector, type NewVector } from '../embedding/store.ts';
import { embeddedText } from './chunk.ts';
import { claimChunks, lateChanges, releaseChunks } from './claims.ts';
import { indexMetrics } from './index-metrics.ts';
import type { Models } from './models.ts';
import { forAllTenants } from './scope.ts';

export type Filling = ReturnType<typeof startFilling>;

// Small, so that a claim is soon done with, and a query does not stand behind many texts.
const batchSize = 32;
// Instances look at the same gaps, and each takes what the others have not.
const looked = batchSize * 8;
const leaseMs = 60_000;
const idleMs = 15_000;
const busyMs = 1_000;

type Round = 'filled' | 'others have it' | 'nothing missing';

/**
 * Looks for gaps every 15 s, and at once when woken; goes on without a pause while there are some. An instance claims
 * what it embeds, for a minute: one that dies leaves it to the others.
 */
export function startFilling(parts: {
  pool: Pool;
  models: Pick<Models, 'inUse'>;
  log: Logger;
  metrics: Metrics;
}) {
  const { pool, models, log, metrics } = parts;
  const { freshness, embedded, missing: shown } = indexMetrics(metrics);
  const stopped = new AbortController();
  let wake: () => void = () => {};
  let isWoken = false;

  async function fill(embedder: Embedder, isActive: boolean): Promise<Round> {
    const { id } = embedder.model;
    const found = await forAllTenants(pool, async (client) => {
      const missing = await embeddingStore.missing(client, id, looked);
      return {
        missing: missing.length,
        claimed: await claimChunks(client, id, missing, { batchSize, leaseMs }),
      };
    });
    shown.set({ model: id }, found.missing);
    if (found.claimed.length === 0) return found.missing === 0 ? 'nothing missing' : 'others have it';
    const { vectors, refused } = await embed(embedder, found.claimed).catch(async (error: unknown) => {
      await forAllTenants(pool, (client) => releaseChunks(client, id, found.claimed));
      throw error;
    });
    // What was refused stays claimed, so that others come to their turn before it is tried again.
    const done = found.claimed.filter((chunk) => !refused.has(chunk.id));
    await forAllTenants(pool, async (client) => {
      await embeddingStore.upsert(client, id, vectors);
      await releaseChunks(client, id, done);
    });
    embedded.inc({ by: 'fill' }, vectors.length);
    if (isActive) await observe(done);
    return 'filled';
  }

  /** Of what changed lately: what is embedded for another reason was found before, or says nothing of freshness. */
  async function observe(chunks: readonly MissingVector[]): Promise<void> {
    const changes = await forAllTenants(pool, (client) => lateChanges(client, chunks));
    for (const changedAt of changes) {
      freshness.observe({ change: 'text' }, Math.max(0, Date.now() - changedAt.getTime()) / 1_000);
    }
  }

  /** Together, or, when the model refuses one of them, one by one. Throws when it is away. */
  async function embed(embedder: Embedder, chunks: readonly MissingVector[]) {
    try {
      return { vectors: await vectorsOf(embedder, chunks), refused: new Set<string>() };
    } catch (error) {
      if (isAway(error)) throw error;
    }
    const vectors: NewVector[] = [];
    const refused = new Set<string>();
    for (const chunk of chunks) {
      try {
        vectors.push(...(await vectorsOf(embedder, [chunk])));
      } catch (error) {
        if (isAway(error)) throw error;
        log.warn('chunk cannot be embedded', { model: embedder.model.id, chunk: chunk.id, error });
        refused.add(chunk.id);
      }
    }
    return { vectors, refused };
  }

  function isAway(error: unknown): boolean {
    return stopped.signal.aborted || failureOf(error).kind === 'unavailable';
  }

  async function vectorsOf(embedder: Embedder, chunks: readonly MissingVector[]): Promise<NewVector[]> {
    const texts = chunks.map(({ header, text }) => embeddedText(header, text));
    const embeddings = await embedder.embed(texts, stopped.signal);
    return chunks.flatMap(({ id, content_hash }, index) => {
      const embedding = embeddings[index];
      return embedding === undefined ? [] : [{ chunk_id: id, content_hash, embedding }];
    });
  }

  /** How long to wait before the next look. */
  async function round(): Promise<number> {
    const { active, others } = await models.inUse();
    let waitMs = idleMs;
    for (const embedder of [active, ...others]) {
      const result = await fill(embedder, embedder === active);
      if (result === 'filled') return 0;
      if (result === 'others have it') waitMs = busyMs;
    }
    return waitMs;
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      isWoken = false;
      const waitMs = await round().catch((error: unknown) => {
        if (!stopped.signal.aborted) log.warn('chunks could not be embedded', { error });
        return idleMs;
      });
      if (waitMs === 0 || isWoken) continue;
      // Instances that started together do not look together.
      await pause(waitMs * (0.75 + Math.random() / 2));
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  const running = run();
  return {
    /** Looks at once. */
    wake(): void {
      isWoken = true;
      wake();
    },
    async stop(): Promise<void> {
      stopped.abort(new Error('stopping'));
      wake();
      await running;
    },
  };
}
