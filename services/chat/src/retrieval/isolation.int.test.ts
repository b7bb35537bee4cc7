import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createMetrics } from '@ragline/runtime/metrics';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { stack } from '../../../../tests/support/stack.ts';
import { prepareModels } from '../embedding/prepare.ts';
import { createQueryCache, normalizeQuery, type QueryCache } from '../embedding/query-cache.ts';
import { type Filter, kinds } from './chunk.ts';
import { log, type NewChunk, startWorld, type World } from './retrieval.support.ts';
import type { Retriever } from './retrieve.ts';

// Few words and many tenants who use the same ones: whatever leaked would be the best answer.
const words = ['pizza', 'pasta', 'tea', 'refund', 'nuts', 'open', 'vegan', 'late'];
const tenantsCount = 6;
const casesEach = 1_700;

const someFilter: fc.Arbitrary<Filter> = fc.record(
  {
    kinds: fc.subarray([...kinds]),
    categories: fc.subarray(['One', 'two'], { minLength: 1 }),
    available: fc.boolean(),
    minPrice: fc.integer({ min: 0, max: 5 }),
    maxPrice: fc.integer({ min: 0, max: 5 }),
    tags: fc.subarray(['red', 'blue']),
    withoutAllergens: fc.subarray(['milk', 'egg']),
  },
  { requiredKeys: [] },
);
// Two of them together seldom let anything through.
const filters = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Filter>({}) },
  { weight: 1, arbitrary: someFilter },
);
const query = fc
  .array(fc.constantFrom(...words), { minLength: 1, maxLength: 3 })
  .chain((chosen) => fc.constantFrom(chosen.join(' '), ` ${chosen.join('\n')} `));

describe('tenants who search side by side', function () {
  this.timeout(180_000);
  let world: World;
  let caches: QueryCache[];
  let retrievers: Retriever[];
  const tenants = Array.from({ length: tenantsCount }, () => randomUUID());
  const ownerOf = new Map<string, string>();

  before(async () => {
    world = await startWorld();
    const { pool, embedder } = world;
    await prepareModels({ pool, model: embedder.model, index: 'hnsw', metadataIndex: 'gin', log });
    for (const tenant_id of tenants) {
      const chunks = fc.sample(chunksOf(tenant_id), { numRuns: 15 });
      for (const id of await world.add(chunks)) ownerOf.set(id, tenant_id);
    }
    // Two instances, each with its process and both with the same Redis: one measures, the other goes by the indexes.
    const { redisUrl } = stack();
    const metrics = createMetrics({ service: 'test' });
    caches = [1, 2].map(() => createQueryCache({ redisUrl, keptMs: 60_000, log, metrics }));
    for (const cache of caches) await cache.connected();
    retrievers = caches.flatMap((cache) => [
      world.retriever({ cache }),
      world.retriever({ cache, settings: { exactMax: 0, metadataIndex: 'gin' } }),
    ]);
  });
  after(async () => {
    for (const cache of caches ?? []) cache.stop();
    await world?.stop();
  });

  it(`find only their own, whatever they ask for, and learn nothing from what others asked: ${tenantsCount * casesEach} times`, async () => {
    let found = 0;
    const lanes = tenants.map(async (tenant_id) => {
      const asked = new Set<string>();
      await fc.assert(
        fc.asyncProperty(
          query,
          filters,
          filters,
          fc.integer({ min: 1, max: 20 }),
          fc.nat(3),
          async (text, server, narrow, limit, nth) => {
            const retriever = retrievers[nth];
            assert.ok(retriever);
            const answer = await retriever.retrieve({ tenant_id, query: text, server, narrow, limit });
            for (const { id } of answer.chunks) assert.equal(ownerOf.get(id), tenant_id);
            assert.ok(
              !answer.cached || asked.has(normalizeQuery(text)),
              'a vector that this tenant did not ask for',
            );
            asked.add(normalizeQuery(text));
            found += answer.chunks.length;
          },
        ),
        { numRuns: casesEach },
      );
    });
    await Promise.all(lanes);
    assert.ok(found > casesEach, 'the searches find something at all');
  });

  it('cannot be asked for by a name that is none', async () => {
    const { rows } = await world.pool.query("SELECT chat.chunks_with_tags('{}')");
    assert.deepEqual(rows, []);
    const stranger = await retrievers[0]?.retrieve({ tenant_id: randomUUID(), query: 'pizza' });
    assert.deepEqual(stranger?.chunks, []);
  });
});

function chunksOf(tenant_id: string): fc.Arbitrary<NewChunk> {
  return fc.record({
    tenant_id: fc.constant(tenant_id),
    kind: fc.constantFrom(...kinds),
    text: fc
      .array(fc.constantFrom(...words), { minLength: 1, maxLength: 3 })
      .map((chosen) => chosen.join(' ')),
    category: fc.constantFrom('One', 'Two', null),
    tags: fc.subarray(['red', 'blue']),
    allergens: fc.subarray(['milk', 'egg']),
    price: fc.option(fc.integer({ min: 0, max: 5 })),
    available: fc.constantFrom(true, true, false, null),
  });
}
