/** How often one may be wrong at signing in: per account and address, per account, and per address. */
import { createHash } from 'node:crypto';
import type { Logger } from '@ragline/runtime/logger';
import { problem } from '@ragline/web/problems';
import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import { createClient } from 'redis';

export type LoginLimitsConfig = {
  enabled: boolean;
  /** Failures of one account from one address before it has to wait. */
  failuresPerAccountAndAddress: number;
  /** Failures of one account from anywhere. Larger, since whoever wants can lock a user out with it. */
  failuresPerAccount: number;
  /** Failures from one address, at whatever account. Larger, since a whole office may share one. */
  failuresPerAddress: number;
  windowSeconds: number;
};

export type Attempt = { tenant: string; email: string; address: string };

export type LoginLimits = {
  /** Throws Problem `rate_limited` with Retry-After while the attempt is blocked. */
  check(attempt: Attempt): Promise<void>;
  failed(attempt: Attempt): Promise<void>;
  /** Forgets the failures of this account at this address; those counted elsewhere run out by themselves. */
  succeeded(attempt: Attempt): Promise<void>;
};

export type Redis = ReturnType<typeof redisClient>;

/**
 * Counts in Redis, so that instances count together; while Redis is away each counts for itself.
 *
 * Unknown accounts are counted like known ones: a limit that only real accounts have would tell which are real.
 */
export function loginLimits(config: LoginLimitsConfig, redis: Redis | undefined): LoginLimits {
  if (!config.enabled) {
    const nothing = async () => {};
    return { check: nothing, failed: nothing, succeeded: nothing };
  }
  const limiter = (name: string, points: number): RateLimiterAbstract => {
    const options = { keyPrefix: `identity:login:${name}`, points, duration: config.windowSeconds };
    const memory = new RateLimiterMemory(options);
    if (redis === undefined) return memory;
    return new RateLimiterRedis({
      ...options,
      storeClient: redis,
      useRedisPackage: true,
      rejectIfRedisNotReady: true,
      insuranceLimiter: memory,
    });
  };
  const pair = limiter('pair', config.failuresPerAccountAndAddress);
  const account = limiter('account', config.failuresPerAccount);
  const address = limiter('address', config.failuresPerAddress);
  const countersOf = (attempt: Attempt) => [
    { limiter: pair, key: pairKey(attempt) },
    { limiter: account, key: accountKey(attempt) },
    { limiter: address, key: attempt.address },
  ];

  return {
    async check(attempt) {
      const states = await Promise.all(
        countersOf(attempt).map(async (it) => ({ ...it, state: await it.limiter.get(it.key) })),
      );
      const waits = states.flatMap(({ limiter: { points }, state }) =>
        state !== null && state.consumedPoints >= points ? [state.msBeforeNext] : [],
      );
      if (waits.length > 0) throw tooMany(Math.max(...waits));
    },
    async failed(attempt) {
      await Promise.all(countersOf(attempt).map(({ limiter, key }) => consumed(limiter, key)));
    },
    async succeeded(attempt) {
      await pair.delete(pairKey(attempt));
    },
  };
}

/** Counting beyond the limit is no error here: whether to refuse is asked by check. */
async function consumed(limiter: RateLimiterAbstract, key: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
  }
}

function tooMany(waitMs: number) {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return problem('rate_limited', 'Too many failed sign-ins. Try again later.', {
    headers: { 'retry-after': String(seconds) },
  });
}

// Hashed: addresses of people have no business in a cache, and a key stays short whatever is sent.
const accountKey = ({ tenant, email }: Attempt): string =>
  createHash('sha256').update(`${tenant}\n${email}`).digest('base64url');
const pairKey = (attempt: Attempt): string => `${accountKey(attempt)}:${attempt.address}`;

/** A connection that never holds up a sign-in: without it commands fail at once. */
export function connectRedis(url: string, log: Logger): Redis {
  const client = redisClient(url);
  let isLost = false;
  client.on('error', (error: unknown) => {
    if (!isLost) log.warn('redis lost, sign-ins are counted in this process', { error });
    isLost = true;
  });
  client.on('ready', () => {
    if (isLost) log.info('redis is back');
    isLost = false;
  });
  // Not awaited: without Redis the service starts as well, and the client goes on trying.
  client.connect().catch(() => {});
  return client;
}

const redisClient = (url: string) =>
  createClient({
    url,
    disableOfflineQueue: true,
    commandOptions: { timeout: 500 },
    socket: { connectTimeout: 2_000, reconnectStrategy: (retries) => Math.min(100 * 2 ** retries, 5_000) },
  });
