import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, before, describe, it } from 'mocha';
import { createClient } from 'redis';
import { eventually } from '../../../../tests/support/eventually.ts';
import { stack } from '../../../../tests/support/stack.ts';
import type { EmbeddingModel } from './embedder.ts';
import { cacheKey, createQueryCache, type QueryCache } from './query-cache.ts';

describe('the cache of query vectors in Redis', () => {
  const model: EmbeddingModel = { id: 'm', version: '1', dimensions: 2, maxTokens: 10 };
  const tenant = randomUUID();
  const vector = Float32Array.of(0.6, 0.8);
  const options = {
    log: createLogger({ service: 'test', level: 'error' }),
    metrics: createMetrics({ service: 'test' }),
  };
  let [here, there]: QueryCache[] = [];
  let redis: ReturnType<typeof createClient>;

  before(async () => {
    const url = stack().redisUrl ?? '';
    redis = createClient({ url });
    await redis.connect();
    [here, there] = [1, 2].map(() => createQueryCache({ redisUrl: url, keptMs: 20_000, ...options }));
    await Promise.all([here?.connected(), there?.connected()]);
  });
  after(() => {
    here?.stop();
    there?.stop();
    redis?.destroy();
  });

  it('gives a vector to another instance, bit by bit, and forgets it after its time', async () => {
    here?.put(tenant, model, 'tea', vector);
    await eventually(async () => assert.deepEqual(await there?.get(tenant, model, 'tea'), vector));
    const left = await redis.pTTL(cacheKey(tenant, model, 'tea'));
    assert.ok(left > 0 && left <= 20_000);
  });

  it('takes nothing for a vector that is none of this model', async () => {
    for (const nonsense of [
      '',
      'x',
      Buffer.alloc(12).toString('base64'),
      Buffer.alloc(8, 0xff).toString('base64'),
    ]) {
      await redis.set(cacheKey(tenant, model, 'odd'), nonsense, { PX: 20_000 });
      assert.equal(await there?.get(tenant, model, 'odd'), undefined);
    }
  });

  it('works while Redis is away', async () => {
    const alone = createQueryCache({ redisUrl: 'redis://127.0.0.1:1', keptMs: 20_000, ...options });
    await alone.connected();
    alone.put(tenant, model, 'tea', vector);
    assert.deepEqual(await alone.get(tenant, model, 'tea'), vector);
    assert.equal(await alone.get(tenant, model, 'coffee'), undefined);
    alone.stop();
  });
});
