/**
 * Vectors of queries, for an hour: in this process, and in Redis for all instances.
 *
 * A key has the tenant in it, so that nobody can learn by the time an answer takes what another tenant's customers
 * asked. What is stored is a vector; the query itself is nowhere, only the hash of it.
 */
import { createHash } from 'node:crypto';
import { createBreaker } from '@ragline/runtime/breaker';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { createClient } from 'redis';
import type { EmbeddingModel } from './embedder.ts';

export type QueryCache = {
  /** Undefined when it is not known, and when Redis does not answer in time. */
  get(tenantId: string, model: EmbeddingModel, query: string): Promise<Float32Array | undefined>;
  /** Never throws and waits for nobody. */
  put(tenantId: string, model: EmbeddingModel, query: string, vector: Float32Array): void;
  /** The end of the first attempt to reach Redis, whatever came of it. */
  connected(): Promise<void>;
  stop(): void;
};

export type QueryCacheOptions = {
  /** Without it, vectors are kept in this process alone. */
  redisUrl: string | undefined;
  /** 0 keeps none. */
  keptMs: number;
  log: Logger;
  metrics: Metrics;
};

/** Of 384 numbers: 3 MB. */
const inProcessMax = 2_000;
const readWithinMs = 50;

/** One spelling for what differs only in blanks and in how its letters are composed. */
export function normalizeQuery(query: string): string {
  return query.normalize('NFC').replace(/\s+/gu, ' ').trim();
}

export function cacheKey(tenantId: string, { id, version }: EmbeddingModel, query: string): string {
  const hash = createHash('sha256').update(query).digest('base64url');
  return `ragline:query:${tenantId}:${id}@${version}:${hash}`;
}

export function createQueryCache({ redisUrl, keptMs, log, metrics }: QueryCacheOptions): QueryCache {
  const reads = metrics.counter('ragline_cache_reads_total', 'Reads of a cache by what answered.', [
    'cache',
    'outcome',
  ]);
  const count = (outcome: 'process' | 'redis' | 'miss') => reads.inc({ cache: 'query', outcome });
  const near = processCache(keptMs);
  const far = redisUrl === undefined ? undefined : redisCache({ redisUrl, keptMs, log, metrics });
  if (keptMs === 0) far?.stop();

  return {
    async get(tenantId, model, query) {
      const key = cacheKey(tenantId, model, query);
      const known = near.get(key);
      if (known !== undefined) {
        count('process');
        return known;
      }
      const vector = keptMs === 0 ? undefined : vectorOf(await far?.get(key), model);
      count(vector === undefined ? 'miss' : 'redis');
      // Not kept here as well: it would be kept for longer than its hour.
      return vector;
    },
    put(tenantId, model, query, vector) {
      if (keptMs === 0) return;
      const key = cacheKey(tenantId, model, query);
      near.put(key, vector);
      far?.put(key, Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64'));
    },
    connected: async () => far?.connected,
    stop: () => far?.stop(),
  };
}

/** The least recently asked go first; how old one is counts from when it was made. */
function processCache(keptMs: number) {
  const entries = new Map<string, { vector: Float32Array; until: number }>();
  return {
    get(key: string): Float32Array | undefined {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      if (entry.until <= Date.now()) return undefined;
      entries.set(key, entry);
      return entry.vector;
    },
    put(key: string, vector: Float32Array): void {
      entries.delete(key);
      entries.set(key, { vector, until: Date.now() + keptMs });
      const [oldest] = entries.keys();
      if (entries.size > inProcessMax && oldest !== undefined) entries.delete(oldest);
    },
  };
}

/** Redis may be away for ever: nothing here throws or waits long. */
function redisCache(options: QueryCacheOptions & { redisUrl: string }) {
  const { redisUrl, keptMs, log, metrics } = options;
  const client = createClient({
    url: redisUrl,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 1_000,
    pingInterval: 5_000,
    socket: { connectTimeout: 2_000, reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 2_000) },
  });
  let isAway = false;
  client.on('error', (error: unknown) => {
    // One line an outage: the client reports every attempt to come back.
    if (!isAway) log.warn('redis is away; vectors of queries are kept in this process alone', { error });
    isAway = true;
  });
  client.on('ready', () => {
    isAway = false;
  });
  const { promise: connected, resolve: isDecided } = Promise.withResolvers<void>();
  client.once('ready', isDecided);
  client.once('error', () => isDecided());
  // Ends when the client is stopped; until then it tries again and again.
  void client.connect().catch(() => {});
  const reads = createBreaker({
    name: 'redis',
    call: (key: string) => client.get(key),
    timeoutMs: readWithinMs,
    metrics,
    openMs: 2_000,
  });

  return {
    connected,
    async get(key: string): Promise<string | undefined> {
      if (!client.isReady) return undefined;
      return (await reads.fire(key).catch(() => null)) ?? undefined;
    },
    put(key: string, value: string): void {
      if (client.isReady) void client.set(key, value, { PX: keptMs }).catch(() => {});
    },
    stop(): void {
      reads.stop();
      client.destroy();
    },
  };
}

/** Undefined for what is no vector of this model, whoever wrote it. */
function vectorOf(text: string | undefined, { dimensions }: EmbeddingModel): Float32Array | undefined {
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== dimensions * Float32Array.BYTES_PER_ELEMENT) return undefined;
  const vector = Float32Array.from({ length: dimensions }, (_, at) => bytes.readFloatLE(at * 4));
  return vector.every(Number.isFinite) ? vector : undefined;
}
