/** Fills gaps: embeds chunks that have no vector of their present text, for every model in use, on every instance. */
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { failureOf } from '@ragline/streams/errors';
import type { Embedder } from '../embedding/embedder.ts';
import { embeddingStore, type MissingVector, type NewVector } from '../embedding/store.ts';
import { embeddedText } from './chunk.ts';
import { claimChunks, deferChunks, lateChanges, openClaims, releaseChunks } from './claims.ts';
import { indexMetrics } from './index-metrics.ts';
import type { Models } from './models.ts';
import { forAllTenants } from './scope.ts';

export type Filling = ReturnType<typeof startFilling>;

// Small, so that a claim is soon done with, and a query does not stand behind many texts.
const batchSize = 32;
// Instances look at the same gaps, and each takes what the others have not.
const looked = batchSize * 8;
const leaseMs = 60_000;
const refusedMs = 5 * 60_000;
const idleMs = 15_000;
const busyMs = 1_000;

/** `waitMs`: until there may be something again; 0 when there may be now. */
type Round = { waitMs: number };

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
  // Models that could not be asked, and until when they are left alone: the others are filled meanwhile.
  const awayUntil = new Map<string, number>();

  async function fill(embedder: Embedder, isActive: boolean): Promise<Round> {
    const { id } = embedder.model;
    const found = await forAllTenants(pool, async (client) => {
      const missing = await embeddingStore.missing(client, id, looked);
      const claims = await openClaims(client, id);
      const claimed = await claimChunks(client, id, missing, { batchSize, leaseMs });
      return { missing: missing.length, claims, claimed };
    });
    const { claims, claimed, missing } = found;
    shown.set({ model: id }, Math.min(looked, missing + claims.count));
    if (claimed.length === 0) {
      const untilMs = claims.count > 0 ? claims.endMs : missing > 0 ? busyMs : idleMs;
      return { waitMs: Math.min(idleMs, Math.max(busyMs, untilMs)) };
    }
    const { vectors, refused } = await embed(embedder, claimed).catch(async (error: unknown) => {
      await forAllTenants(pool, (client) => releaseChunks(client, id, claimed));
      throw error;
    });
    const done = claimed.filter((chunk) => !refused.has(chunk.id));
    await forAllTenants(pool, async (client) => {
      await embeddingStore.upsert(client, id, vectors);
      await releaseChunks(client, id, done);
      await deferChunks(client, id, [...refused], refusedMs);
    });
    embedded.inc({ by: 'fill' }, vectors.length);
    if (isActive) await observe(done);
    return { waitMs: 0 };
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
      const { id } = embedder.model;
      if ((awayUntil.get(id) ?? 0) > Date.now()) continue;
      const { waitMs: forThis } = await fill(embedder, embedder === active).catch((error: unknown) => {
        if (stopped.signal.aborted) throw error;
        log.warn('chunks could not be embedded', { model: id, error });
        awayUntil.set(id, Date.now() + idleMs / 2);
        return { waitMs: idleMs };
      });
      if (forThis === 0) return 0;
      waitMs = Math.min(waitMs, forThis);
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
      if (waitMs === 0 || isWoken || stopped.signal.aborted) continue;
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
      awayUntil.clear();
      wake();
    },
    async stop(): Promise<void> {
      stopped.abort(new Error('stopping'));
      wake();
      await running;
    },
  };
}
