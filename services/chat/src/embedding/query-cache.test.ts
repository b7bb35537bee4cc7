import assert from 'node:assert/strict';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import type { EmbeddingModel } from './embedder.ts';
import { cacheKey, createQueryCache, normalizeQuery } from './query-cache.ts';

const model: EmbeddingModel = { id: 'm', version: '1', dimensions: 2, maxTokens: 10 };
const vector = Float32Array.of(0.6, 0.8);

describe('the cache of query vectors', () => {
  const cacheWith = (changes: { keptMs?: number; redisUrl?: string } = {}) =>
    createQueryCache({
      redisUrl: undefined,
      keptMs: 60_000,
      log: createLogger({ service: 'test', level: 'error' }),
      metrics: createMetrics({ service: 'test' }),
      ...changes,
    });

  it('knows a query again without Redis', async () => {
    const cache = cacheWith();
    assert.equal(await cache.get('tenant', model, 'tea'), undefined);
    cache.put('tenant', model, 'tea', vector);
    assert.deepEqual(await cache.get('tenant', model, 'tea'), vector);
  });

  it('keeps apart tenants, models, and versions of a model', async () => {
    const cache = cacheWith();
    cache.put('tenant', model, 'tea', vector);
    assert.equal(await cache.get('other', model, 'tea'), undefined);
    assert.equal(await cache.get('tenant', { ...model, id: 'n' }, 'tea'), undefined);
    assert.equal(await cache.get('tenant', { ...model, version: '2' }, 'tea'), undefined);
  });

  it('keeps nothing when it is told to keep it for no time', async () => {
    const cache = cacheWith({ keptMs: 0 });
    cache.put('tenant', model, 'tea', vector);
    assert.equal(await cache.get('tenant', model, 'tea'), undefined);
  });

  it('keeps two thousand, and forgets the one that was asked for longest ago', async () => {
    const cache = cacheWith();
    for (let n = 0; n < 2_000; n++) cache.put('tenant', model, `query ${n}`, vector);
    await cache.get('tenant', model, 'query 0');
    cache.put('tenant', model, 'one more', vector);
    assert.deepEqual(await cache.get('tenant', model, 'query 0'), vector);
    assert.equal(await cache.get('tenant', model, 'query 1'), undefined);
  });

  it('has no word of the query in its key', () => {
    assert.doesNotMatch(cacheKey('tenant', model, 'my secret allergy'), /secret|allergy/);
  });

  it('takes spellings for one that differ in blanks and in how letters are composed', () => {
    assert.equal(normalizeQuery('  Cafe\u0301 \n au\u00a0lait '), 'Caf\u00e9 au lait');
  });
});
