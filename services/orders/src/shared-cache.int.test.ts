import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, before, describe, it } from 'mocha';
import { stack } from '../../../tests/support/stack.ts';
import { testLog } from './orders.support.ts';
import { connectSharedCache } from './shared-cache.ts';

describe('the shared cache', () => {
  let cache: ReturnType<typeof connectSharedCache>;

  before(async () => {
    const { redisUrl } = stack();
    assert.ok(redisUrl, 'this test needs REDIS_URL');
    cache = connectSharedCache({ url: redisUrl, log: testLog, metrics: createMetrics({ service: 'test' }) });
    await cache.connected();
  });
  after(() => cache?.stop());

  const aKey = () => `ragline:test:${randomUUID()}`;

  it('finds what was put, and nothing where nothing is', async () => {
    const key = aKey();
    assert.deepEqual(await cache.get(key), { state: 'absent' });
    assert.equal(await cache.put(key, 'a', 5_000), true);
    assert.deepEqual(await cache.get(key), { state: 'found', value: 'a' });
  });

  it('adds only where nothing is', async () => {
    const key = aKey();
    assert.equal(await cache.add(key, 'a', 5_000), true);
    assert.equal(await cache.add(key, 'b', 5_000), false);
    assert.deepEqual(await cache.get(key), { state: 'found', value: 'a' });
  });

  const raised: [before: string | undefined, expected: string][] = [
    [undefined, '7'],
    ['mine', '7'],
    ['6', '7'],
    ['8', '8'],
    ['xtheirs', 'xtheirs'],
  ];
  for (const [before, expected] of raised) {
    it(`raises ${before ?? 'nothing'} to ${expected} when 7 is committed`, async () => {
      const key = aKey();
      if (before !== undefined) await cache.put(key, before, 5_000);
      await cache.raise(key, 'mine', 7, 5_000);
      assert.deepEqual(await cache.get(key), { state: 'found', value: expected });
    });
  }

  it('releases only what is marked as its own', async () => {
    const key = aKey();
    await cache.put(key, 'mine', 5_000);
    await cache.release(key, 'theirs');
    assert.deepEqual(await cache.get(key), { state: 'found', value: 'mine' });
    await cache.release(key, 'mine');
    assert.deepEqual(await cache.get(key), { state: 'absent' });
  });

  it('is away, and never in the way, when nothing answers', async () => {
    const metrics = createMetrics({ service: 'test' });
    const quiet = { ...testLog, warn() {} };
    const nowhere = connectSharedCache({ url: 'redis://127.0.0.1:1', log: quiet, metrics });
    try {
      assert.deepEqual(await nowhere.get('x'), { state: 'away' });
      assert.equal(await nowhere.put('x', 'a', 1), false);
      assert.equal(await nowhere.raise('x', 'mine', 1, 1), false);
    } finally {
      nowhere.stop();
    }
  });
});
