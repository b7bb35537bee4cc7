import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, before, describe, it } from 'mocha';
import { createWordEmbedder } from '../embedding/testing.ts';
import { type NewChunk, startWorld, type World } from './retrieval.support.ts';
import type { Retrieved } from './retrieve.ts';

describe('retrieving chunks', function () {
  this.timeout(60_000);
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world?.stop());

  const titles = ({ chunks }: Retrieved) => chunks.map(({ title }) => title);
  /** A tenant with those chunks, whose texts are their titles unless they say another. */
  async function tenantWith(...chunks: (Omit<NewChunk, 'tenant_id' | 'text'> & { text?: string })[]) {
    const tenant_id = randomUUID();
    await world.add(chunks.map((chunk) => ({ text: chunk.title ?? '', ...chunk, tenant_id })));
    return tenant_id;
  }

  it('finds what is nearest, with its score, its source and what is filtered by', async () => {
    const tenant_id = await tenantWith(
      { title: 'pizza margherita', category: 'Pizza', tags: ['vegetarian'], allergens: ['milk'], price: 950 },
      { title: 'apple juice' },
    );
    const found = await world.retriever().retrieve({ tenant_id, query: 'margherita pizza', limit: 1 });
    const [chunk] = found.chunks;
    assert.equal(found.path, 'exact');
    assert.equal(found.candidates, 2);
    assert.ok(chunk !== undefined && chunk.score > 0.99);
    assert.deepEqual(
      [
        chunk.title,
        chunk.category,
        chunk.tags,
        chunk.allergens,
        chunk.price,
        chunk.currency,
        chunk.available,
      ],
      ['pizza margherita', 'Pizza', ['vegetarian'], ['milk'], 950, 'EUR', true],
    );
    assert.equal(chunk.source, `/${chunk.source_id}`);
    assert.equal(chunk.changed_at, '2025-01-01T00:00:00.000Z');
    assert.ok((found.timings_ms.total ?? 0) > 0);
  });

  it('lets the model narrow what the server lets through, and never widen it', async () => {
    const tenant_id = await tenantWith(
      { title: 'soup of the day', price: 500, category: 'Soups', tags: ['vegan'] },
      { title: 'soup with cream', price: 900, category: 'Soups', allergens: ['milk'] },
      { title: 'soup policy', kind: 'policy' },
    );
    const { retrieve } = world.retriever();
    const ask = async (server: object, narrow: object) =>
      titles(await retrieve({ tenant_id, query: 'soup', server, narrow })).sort();
    assert.deepEqual(await ask({ kinds: ['menu'] }, {}), ['soup of the day', 'soup with cream']);
    assert.deepEqual(await ask({ kinds: ['menu'] }, { kinds: ['policy'] }), []);
    assert.deepEqual(await ask({ kinds: ['menu'] }, { kinds: ['policy', 'menu'], maxPrice: 600 }), [
      'soup of the day',
    ]);
    assert.deepEqual(await ask({ maxPrice: 600 }, { maxPrice: 5_000 }), ['soup of the day']);
    assert.deepEqual(await ask({}, { categories: ['SOUPS'], withoutAllergens: ['Milk'] }), [
      'soup of the day',
    ]);
    assert.deepEqual(await ask({ withoutAllergens: ['milk'] }, { withoutAllergens: [] }), [
      'soup of the day',
      'soup policy',
    ]);
    assert.deepEqual(await ask({}, { tags: ['Vegan'] }), ['soup of the day']);
    assert.deepEqual(await ask({}, { minPrice: 900 }), ['soup with cream']);
  });

  it('leaves out what is not available, whoever asks for it but the server', async () => {
    const tenant_id = await tenantWith(
      { title: 'tiramisu', available: false },
      { title: 'tiramisu recipe', kind: 'note' },
    );
    const { retrieve } = world.retriever();
    const query = 'tiramisu';
    assert.deepEqual(titles(await retrieve({ tenant_id, query })), ['tiramisu recipe']);
    assert.deepEqual(titles(await retrieve({ tenant_id, query, narrow: { available: false } })), []);
    assert.deepEqual(titles(await retrieve({ tenant_id, query, server: { available: false } })), [
      'tiramisu',
    ]);
  });

  it('shows a promoted one before its equal, and a fresh one before an old one', async () => {
    const text = 'lemonade';
    const tenant_id = await tenantWith(
      { title: 'old', text },
      { title: 'promoted', text, promoted: true },
      { title: 'fresh', text, changed_at: new Date() },
    );
    const found = await world.retriever().retrieve({ tenant_id, query: 'lemonade' });
    assert.deepEqual(titles(found), ['promoted', 'fresh', 'old']);
  });

  it('prefers what says something else to what repeats the best', async () => {
    const tenant_id = await tenantWith(
      { title: 'best', text: 'pizza tomato basil' },
      { title: 'again', text: 'pizza tomato basil basil' },
      { title: 'other', text: 'pizza tomato olives' },
    );
    const found = await world.retriever().retrieve({ tenant_id, query: 'pizza tomato basil', limit: 2 });
    assert.deepEqual(titles(found), ['best', 'other']);
  });

  it('stays within the budget of tokens, and passes over what does not fit', async () => {
    const tenant_id = await tenantWith(
      { title: 'menu one', tokens: 60 },
      { title: 'menu one long', tokens: 100 },
      { title: 'menu two', tokens: 40 },
    );
    const found = await world.retriever().retrieve({ tenant_id, query: 'menu one', tokenBudget: 100 });
    assert.deepEqual(titles(found), ['menu one', 'menu two']);
  });

  it('asks the model once for a query that differs in blanks, and each tenant anew', async () => {
    const [one, other] = [await tenantWith({ title: 'tea' }), await tenantWith({ title: 'tea' })];
    const embedder = createWordEmbedder();
    const { retrieve } = world.retriever({ embedder });
    assert.equal((await retrieve({ tenant_id: one, query: 'green tea' })).cached, false);
    assert.equal((await retrieve({ tenant_id: one, query: ' green \n tea ' })).cached, true);
    assert.equal((await retrieve({ tenant_id: other, query: 'green tea' })).cached, false);
    assert.equal(embedder.asked(), 2);
  });

  it('answers a question that is longer than the model reads', async () => {
    const tenant_id = await tenantWith({ title: 'opening hours' });
    const query = 'opening hours '.repeat(2_000);
    assert.deepEqual(titles(await world.retriever().retrieve({ tenant_id, query })), ['opening hours']);
  });

  it('finds nothing for nothing', async () => {
    const tenant_id = await tenantWith({ title: 'tea' });
    assert.deepEqual((await world.retriever().retrieve({ tenant_id, query: ' \n ' })).chunks, []);
    assert.deepEqual(
      (await world.retriever().retrieve({ tenant_id: randomUUID(), query: 'tea' })).chunks,
      [],
    );
  });

  it('measures everything again when the index gave fewer than there may be', async () => {
    const tenant_id = await tenantWith({ title: 'first tea' }, { title: 'second tea' }, { title: 'cake' });
    const metrics = createMetrics({ service: 'test' });
    const { retrieve } = world.retriever({ settings: { exactMax: 1 }, metrics });
    const found = await retrieve({ tenant_id, query: 'tea', limit: 3 });
    assert.equal(found.chunks.length, 3);
    assert.equal(found.path, 'exact');
    assert.match(await metrics.text(), /searches_total\{path="hnsw",repeated="yes",service="test"\} 1/);
    assert.ok(found.timings_ms.repeat !== undefined);
  });
});
