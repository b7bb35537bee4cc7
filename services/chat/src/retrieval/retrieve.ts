/** The one way to find passages: query → vector → candidates → business rules → diversified top within a budget. */
import type { Pool } from '@ragline/postgres/pool';
import type { Metrics } from '@ragline/runtime/metrics';
import { withSpan } from '@ragline/runtime/tracing';
import { UnavailableError } from '@ragline/streams/errors';
import type { Embedder } from '../embedding/embedder.ts';
import type { Embedders } from '../embedding/embedders.ts';
import { normalizeQuery, type QueryCache } from '../embedding/query-cache.ts';
import { embeddingStore } from '../embedding/store.ts';
import type { Chunk, Filter } from './chunk.ts';
import { narrowed } from './filter.ts';
import { fitted } from './fitted.ts';
import { byRules, diversified } from './rank.ts';
import { remembered } from './remembered.ts';
import { type Candidate, countChunks, type Search, searchChunks } from './search.ts';
import type { RetrievalSettings } from './settings.ts';
import { type Stages, stageTimer } from './stages.ts';

export type { Chunk, Filter, Kind } from './chunk.ts';

export type RetrievalRequest = {
  tenant_id: string;
  query: string;
  /** Chunks at most; 8. */
  limit?: number;
  /** Tokens of all chunks together at most; 1,500. */
  tokenBudget?: number;
  /** What the caller's code decided. */
  server?: Filter;
  /** What a model or a customer asked for: it can only narrow what `server` lets through. */
  narrow?: Filter;
  signal?: AbortSignal;
};

export type Retrieved = {
  /** The best first, by score and business rules. */
  chunks: Chunk[];
  /** Whether the query's vector came from a cache. */
  cached: boolean;
  path: 'exact' | 'hnsw' | 'ivfflat';
  /** How many were looked at by the rules. */
  candidates: number;
  timings_ms: Record<string, number>;
};

export type Retriever = {
  /** Throws UnavailableError when the embedding model is away; errors of Postgres pass through. */
  retrieve(request: RetrievalRequest): Promise<Retrieved>;
};

export type RetrieverParts = {
  pool: Pool;
  embedders: Pick<Embedders, 'of'>;
  cache: QueryCache;
  settings: RetrievalSettings;
  metrics: Metrics;
};

/** How late this instance may see a switch of models, and a tenant's growth over the threshold. */
const modelKnownMs = 2_000;
const sizeKnownMs = 30_000;
const sizesMax = 10_000;

/** So many candidates for each chunk that is wanted, and no fewer than the minimum: what diversity chooses from. */
const candidatesPerChunk = 4;
const candidatesMin = 32;

export function createRetriever({ pool, embedders, cache, settings, metrics }: RetrieverParts): Retriever {
  const { exactMax, index, metadataIndex, breadth, floorPercent } = settings;
  const timed = stageTimer(metrics);
  const searches = metrics.counter('ragline_retrieval_searches_total', 'Searches by how they were done.', [
    'path',
    'repeated',
  ]);
  const activeModel = remembered({ keptMs: modelKnownMs, max: 1 }, async () => {
    const active = (await embeddingStore.models(pool)).find(({ state }) => state === 'active');
    if (active === undefined) throw new UnavailableError('No embedding model is active yet');
    return active.id;
  });
  const sizeOf = remembered({ keptMs: sizeKnownMs, max: sizesMax }, (tenantId) =>
    countChunks(pool, tenantId, exactMax + 1),
  );

  async function embedderInUse(): Promise<Embedder> {
    const id = await activeModel('active');
    const embedder = embedders.of(id);
    if (embedder === undefined) throw new UnavailableError(`This instance cannot ask the model ${id}`);
    return embedder;
  }

  async function vectorOf(embedder: Embedder, request: RetrievalRequest, query: string, stages: Stages) {
    const { tenant_id: tenantId, signal } = request;
    const known = await stages.run('cache', () => cache.get(tenantId, embedder.model, query));
    if (known !== undefined) return { vector: known, cached: true };
    const [vector] = await stages.run('embed', () => embedder.embed([query], signal));
    if (vector === undefined) throw new UnavailableError('The embedding model gave no vector');
    cache.put(tenantId, embedder.model, query, vector);
    return { vector, cached: false };
  }

  async function candidatesOf(search: Omit<Search, 'path' | 'breadth'>, stages: Stages) {
    const isSmall = (await stages.run('size', () => sizeOf(search.tenantId))) <= exactMax;
    const hasTags = search.filter.tags !== undefined && metadataIndex === 'gin';
    const path = isSmall ? 'exact' : hasTags ? 'tagged' : 'index';
    const found = await stages.run('search', () => searchChunks(pool, { ...search, path, breadth }));
    if (path !== 'index') return { found, path: 'exact' as const };
    const used = found.length < search.limit ? 'short' : 'whole';
    searches.inc({ path: index, repeated: used === 'short' ? 'yes' : 'no' });
    if (used === 'whole') return { found, path: index };
    // The index gives up at a bound. There may be more rows, and only measuring all of them tells.
    const all = await stages.run('repeat', () =>
      searchChunks(pool, { ...search, path: 'filtered', breadth }),
    );
    return { found: all, path: 'exact' as const };
  }

  return {
    async retrieve(request) {
      const { limit = 8, tokenBudget = 1_500, server = {}, narrow = {} } = request;
      return withSpan('retrieve', {}, async (span) => {
        const stages = timed();
        const filter = narrowed(server, narrow);
        const normal = normalizeQuery(request.query);
        const nothing = { chunks: [], cached: false, path: 'exact', candidates: 0 } as const;
        if (filter === undefined || normal === '' || limit < 1) {
          return { ...nothing, chunks: [], timings_ms: stages.end() };
        }
        const embedder = await stages.run('model', embedderInUse);
        const query = fitted(normal, embedder);
        const { vector, cached } = await vectorOf(embedder, request, query, stages);
        request.signal?.throwIfAborted();
        const wanted = Math.max(candidatesMin, limit * candidatesPerChunk);
        const { id: modelId } = embedder.model;
        const { found, path } = await candidatesOf(
          { tenantId: request.tenant_id, modelId, vector, filter, limit: wanted },
          stages,
        );
        const chosen = stages.runNow('rank', () =>
          diversified(byRules<Candidate>(found, floorPercent / 100, new Date()), { limit, tokenBudget }),
        );
        const { length: candidates } = found;
        span.setAttributes({ path, cached, candidates, chunks: chosen.length, cut: query !== normal });
        return {
          chunks: chosen.map(({ chunk }) => chunk),
          cached,
          path,
          candidates,
          timings_ms: stages.end(),
        };
      });
    },
  };
}
