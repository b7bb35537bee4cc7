/** Searches as the service does them: its own retriever, model, database role and cache. */
import { randomUUID } from 'node:crypto';
import { loadavg } from 'node:os';
import { createPool, type Pool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings as readService } from '@ragline/runtime/settings';
import { createEmbedders, type Embedders } from '../../../../services/chat/src/embedding/embedders.ts';
import { prepareModels } from '../../../../services/chat/src/embedding/prepare.ts';
import { createQueryCache } from '../../../../services/chat/src/embedding/query-cache.ts';
import { readEmbeddingSettings } from '../../../../services/chat/src/embedding/settings.ts';
import { embeddingStore } from '../../../../services/chat/src/embedding/store.ts';
import {
  createRetriever,
  type Retrieved,
  type Retriever,
} from '../../../../services/chat/src/retrieval/retrieve.ts';
import { searchChunks } from '../../../../services/chat/src/retrieval/search.ts';
import {
  type RetrievalSettings,
  readRetrievalSettings,
} from '../../../../services/chat/src/retrieval/settings.ts';
import { line, percentile, round, tell } from '../../parts/numbers.ts';
import type { Settings } from '../../parts/settings.ts';
import type { Options } from '../retrieval.ts';
import { type BenchDatabase, fill, index, makeDatabase, type Passage } from './database.ts';
import { passages, questions } from './texts.ts';

const tenants = 50;
const warmUp = 20;
/** What the retriever asks for when eight chunks are wanted. */
const candidates = 32;
const log = createLogger({ service: 'bench', level: 'error' });
const metrics = createMetrics({ service: 'bench' });

type Scene = {
  pool: Pool;
  embedders: Embedders;
  settings: RetrievalSettings;
  redisUrl: string | undefined;
  chunks: number;
  queries: number;
};

export async function measureRetrieval(stack: Settings, options: Options): Promise<void> {
  const env = {
    EMBEDDING_MODEL_DIR: stack.get('EMBEDDING_MODEL_DIR'),
    RETRIEVAL_INDEX: options.index,
    RETRIEVAL_BREADTH: options.breadth,
    RETRIEVAL_EXACT_MAX: options.exactMax,
    RETRIEVAL_FLOOR_PERCENT: '0',
  };
  const settings = readService(env, readRetrievalSettings);
  const embedders = createEmbedders(readService(env, readEmbeddingSettings), { log, metrics });
  const database = await makeDatabase(stack);
  const pool = createPool({
    url: database.url,
    max: 4,
    applicationName: 'bench',
    statementTimeoutMs: 60_000,
    log,
    metrics,
  });
  try {
    const { preferred } = embedders;
    await prepareModels({ pool, model: preferred.model, index: settings.index, metadataIndex: 'none', log });
    tell(`retrieval: reading ${passages.length} passages`);
    const vectors = await preferred.embed(passages.map(({ text }) => text));
    const known = passages.map((passage, at) => ({ ...passage, vector: vectors[at] ?? new Float32Array() }));
    for (const chunks of options.sizes.split(',').map(Number)) {
      const shares = await fillWith(database, pool, known, chunks, settings.index);
      const scene = {
        pool,
        embedders,
        settings,
        redisUrl: stack.find('REDIS_URL'),
        chunks,
        queries: Number(options.queries),
      };
      await measureSize(scene, [...shares.keys()]);
    }
  } finally {
    await pool.end();
    await database.drop();
    await embedders.stop();
  }
}

async function fillWith(database: BenchDatabase, pool: Pool, known: Passage[], chunks: number, kind: string) {
  // One tenant has half, the others the same share of the rest each.
  const others = Math.round(chunks / 2 / (tenants - 1));
  const shares = new Map(
    Array.from(
      { length: tenants },
      (_, at) => [randomUUID(), at === 0 ? Math.round(chunks / 2) : others] as const,
    ),
  );
  const [model] = await embeddingStore.models(pool);
  await fill(database.owner, model?.table_name ?? '', known, shares);
  const ms = await index(database.owner, kind);
  tell(`retrieval: ${chunks} chunks, index ${kind} built in ${round(ms / 1_000)} s`);
  return shares;
}

async function measureSize(scene: Scene, who: readonly string[]): Promise<void> {
  const { chunks, queries } = scene;
  const [large = '', ...small] = who;
  const everybody = (at: number) => (at % 2 === 0 ? large : (small[at % small.length] ?? large));
  const groups: [name: string, tenantOf: (at: number) => string][] = [
    ['all', everybody],
    ['large', () => large],
    ['small', (at) => small[at % small.length] ?? large],
  ];
  for (const [tenant, tenantOf] of groups) {
    for (const kind of ['new', 'cached', 'cached in redis'] as const) {
      if (kind === 'cached in redis' && scene.redisUrl === undefined) continue;
      const found = await timeQueries(scene, kind, tenantOf);
      line({
        bench: 'retrieval',
        chunks,
        tenant,
        query: kind,
        ...latencies(found),
        short: await shortOnes(scene, found),
        load: load(),
      });
    }
  }
  for (const [tenant, tenantOf] of groups.slice(1)) {
    line({
      bench: 'retrieval',
      chunks,
      tenant,
      ...(await recallAt10(scene, tenantOf)),
      queries,
      load: load(),
    });
  }
}

type Timed = { found: Retrieved; tenant: string };

/** Queries one after the other; those that shall be in a cache were asked before. */
async function timeQueries(
  scene: Scene,
  kind: 'new' | 'cached' | 'cached in redis',
  tenantOf: (at: number) => string,
) {
  const nonce = randomUUID().slice(0, 8);
  const texts = questions(scene.queries + warmUp).map((text, at) => ({
    query: `${text} ${nonce}`,
    tenant: tenantOf(at),
  }));
  const ask = (retriever: Retriever, { query, tenant }: (typeof texts)[number]) =>
    retriever.retrieve({ tenant_id: tenant, query });
  const asking = await startRetriever(scene);
  try {
    if (kind !== 'new') for (const text of texts) await ask(asking.retriever, text);
    // Another process has nothing but Redis.
    const used = kind === 'cached in redis' ? await startRetriever(scene) : asking;
    const timed: Timed[] = [];
    for (const [at, text] of texts.entries()) {
      const found = await ask(used.retriever, text);
      if (at >= warmUp) timed.push({ found, tenant: text.tenant });
    }
    if (used !== asking) used.stop();
    return timed;
  } finally {
    asking.stop();
  }
}

async function startRetriever({ pool, embedders, settings, redisUrl }: Scene) {
  const cache = createQueryCache({ redisUrl, keptMs: 600_000, log, metrics });
  await cache.connected();
  return {
    retriever: createRetriever({ pool, embedders, cache, settings, metrics }),
    stop: () => cache.stop(),
  };
}

function latencies(timed: readonly Timed[]) {
  const stages = new Set(timed.flatMap(({ found }) => Object.keys(found.timings_ms)));
  const of = (stage: string, share: number) =>
    round(
      percentile(
        timed.flatMap(({ found }) => found.timings_ms[stage] ?? []),
        share,
      ),
      2,
    );
  const byStage = [...stages].map((stage) => [stage, [of(stage, 0.5), of(stage, 0.95)]]);
  const paths = Object.groupBy(timed, ({ found }) => found.path);
  return {
    queries: timed.length,
    p50_ms: of('total', 0.5),
    p95_ms: of('total', 0.95),
    stages_p50_p95_ms: Object.fromEntries(byStage.filter(([stage]) => stage !== 'total')),
    paths: Object.fromEntries(Object.entries(paths).map(([path, of]) => [path, of?.length ?? 0])),
  };
}

/** Answers with fewer chunks than eight, or than the tenant has to show. */
async function shortOnes({ pool, embedders, settings }: Scene, timed: readonly Timed[]): Promise<number> {
  const { model } = embedders.preferred;
  const vector = new Float32Array(model.dimensions).fill(1);
  const exact = {
    modelId: model.id,
    vector,
    filter: {},
    path: 'exact',
    limit: 8,
    breadth: settings.breadth,
  } as const;
  const most = new Map<string, number>();
  for (const { tenant } of timed) {
    if (!most.has(tenant))
      most.set(tenant, (await searchChunks(pool, { ...exact, tenantId: tenant })).length);
  }
  return timed.filter(({ found, tenant }) => found.chunks.length < (most.get(tenant) ?? 0)).length;
}

/** Of the ten that are truly nearest, how many the way that the retriever takes finds; by the index and as it answers. */
async function recallAt10(
  { pool, embedders, settings, queries, chunks }: Scene,
  tenantOf: (at: number) => string,
) {
  const { preferred } = embedders;
  let [hits, wanted] = [0, 0];
  for (const [at, text] of questions(queries).entries()) {
    const [vector = new Float32Array()] = await preferred.embed([text]);
    const search = {
      tenantId: tenantOf(at),
      modelId: preferred.model.id,
      vector,
      filter: {},
      limit: candidates,
      breadth: settings.breadth,
    };
    const truth = (await searchChunks(pool, { ...search, path: 'exact' })).slice(0, 10);
    const found = (await searchChunks(pool, { ...search, path: 'index' })).slice(0, 10);
    // By distance: of two that are equally near, either is right.
    const farthest = truth.at(-1)?.score ?? 0;
    hits += Math.min(truth.length, found.filter(({ score }) => score >= farthest - 1e-6).length);
    wanted += truth.length;
  }
  return {
    index: settings.index,
    'recall@10 of the index alone': round(hits / wanted, 4),
    used: chunks / 2 > settings.exactMax,
  };
}

const load = () => round(loadavg()[0] ?? 0);
