/**
 * Rate limits, per address and per tenant, in windows of ten seconds.
 *
 * Counted in Redis, so that several gateways share them; without Redis, or while it is away, in this process.
 */
import type { Logger } from '@ragline/runtime/logger';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { createClient } from 'redis';

export type Store = 'redis' | 'memory' | 'off';
export type RateLimits = Awaited<ReturnType<typeof startRateLimits>>;

const windowS = 10;

export async function startRateLimits(options: {
  enabled: boolean;
  redisUrl: string | undefined;
  address: number;
  tenant: number;
  log: Logger;
}) {
  const redis =
    options.enabled && options.redisUrl !== undefined ? connect(options.redisUrl, options.log) : undefined;
  const limiter = (name: string, points: number) => {
    const memory = new RateLimiterMemory({ keyPrefix: name, points, duration: windowS });
    if (!redis) return memory;
    return new RateLimiterRedis({
      storeClient: redis.client,
      useRedisPackage: true,
      keyPrefix: `ragline:gateway:${name}`,
      points,
      duration: windowS,
      insuranceLimiter: memory,
      // Whoever is over the limit is not counted on in Redis: a flood must not become Redis's.
      inMemoryBlockOnConsumed: points + 1,
      inMemoryBlockDuration: windowS,
      rejectIfRedisNotReady: true,
    });
  };
  const store: Store = options.enabled ? (redis ? 'redis' : 'memory') : 'off';
  const byAddress = limiter('address', options.address);
  const byTenant = limiter('tenant', options.tenant);

  return {
    enabled: options.enabled,
    /** Where requests are counted. */
    store,
    /** Whether they are counted there at the moment, and not in this process instead. */
    ready: (): boolean => redis === undefined || redis.client.isReady,

    /** How many seconds to wait, when there were too many requests; else undefined. Never throws. */
    async excess(address: string, tenantId: string | undefined): Promise<number | undefined> {
      if (!options.enabled) return undefined;
      const waits = await Promise.all([
        waitOf(byAddress.consume(address)),
        tenantId === undefined ? undefined : waitOf(byTenant.consume(tenantId)),
      ]);
      const wait = Math.max(...waits.map((it) => it ?? 0));
      return wait > 0 ? wait : undefined;
    },

    stop: () => redis?.client.destroy(),
  };
}

async function waitOf(consumed: Promise<unknown>): Promise<number | undefined> {
  try {
    await consumed;
    return undefined;
  } catch (error) {
    // Anything else is a fault of the counting, for which no client should be turned away.
    return error instanceof RateLimiterRes ? Math.max(1, Math.ceil(error.msBeforeNext / 1000)) : undefined;
  }
}

/** Connects in the background; the limits do not wait for Redis. */
function connect(url: string, log: Logger) {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    commandOptions: { timeout: 250 },
    socket: {
      connectTimeout: 2_000,
      reconnectStrategy: (tries) => Math.min(100 * 2 ** Math.min(tries, 6), 5_000),
    },
  });
  let isAway = false;
  client.on('error', (error) => {
    if (!isAway) log.warn('redis away, rate limits are counted in this process', { error });
    isAway = true;
  });
  client.on('ready', () => {
    if (isAway) log.info('redis is back');
    isAway = false;
  });
  client.connect().catch(() => {});
  return { client };
}
