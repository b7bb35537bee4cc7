import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { UnavailableError } from '@ragline/streams/errors';
import { after, before, describe, it } from 'mocha';
import { retrieverOf } from '../retrieval/retrieval.support.ts';
import { aConversation, callerIn, openDesk } from '../tools/tools.support.ts';
import {
  aProduct,
  decoded,
  documentEvent,
  type IndexScene,
  onceIn,
  openIndex,
  productEvent,
} from './knowledge.support.ts';

type ChunkRow = {
  id: string;
  ordinal: number;
  text: string;
  price: number | null;
  available: boolean | null;
  tags: string[];
  allergens: string[];
  vector_hash: string | null;
  content_hash: string;
};

describe('the group chat-index', function () {
  this.timeout(60_000);
  let scene: IndexScene;
  before(async () => {
    scene = await openIndex();
  });
  after(() => scene?.close());

  const chunksOf = (sourceId: string) =>
    scene.all<ChunkRow>(
      `SELECT c.*, e.content_hash AS vector_hash FROM chat.chunk c LEFT JOIN chat.embedding_words e ON e.chunk_id = c.id
        WHERE c.source_id = $1 ORDER BY c.ordinal`,
      [sourceId],
    );

  it('indexes a product as one chunk with its vector and what it is filtered by', async () => {
    const product = aProduct();
    assert.deepEqual(await scene.index(productEvent(product)), ['indexed']);
    const [chunk, ...others] = await chunksOf(product.id);
    assert.deepEqual(others, []);
    assert.equal(chunk?.vector_hash, chunk?.content_hash);
    assert.deepEqual(
      [chunk?.price, chunk?.available, chunk?.tags, chunk?.allergens],
      [890, true, ['vegetarian'], ['gluten', 'milk']],
    );
  });

  it('lets the tools find a product by its tags, and leave one out by its allergens, however they are spelled', async () => {
    const conversation = await aConversation(scene.pool);
    const { tenant_id } = conversation;
    const named = (name: string, tags: string[], allergens: string[]) =>
      productEvent(aProduct({ tenant_id, name, tags, attributes: { allergens } }));
    await scene.index(
      named('One', ['glutenfree'], ['Tree Nuts']),
      named('Two', ['Gluten-Free'], []),
      named('Three', [], []),
    );
    const desk = await openDesk({
      pool: scene.pool,
      parts: { retriever: retrieverOf(scene.pool, scene.embedder) },
    });
    const found = async (args: object) => {
      const call = { id: '1', name: 'retrieve_menu', arguments: JSON.stringify({ query: 'dish', ...args }) };
      const { content } = await desk.registry.call(call, callerIn(conversation));
      const { items }: { items: { name: string }[] } = JSON.parse(content);
      return items.map(({ name }) => name).sort();
    };
    try {
      for (const tag of ['gluten-free', 'Gluten free', 'glutenfree', 'gluten_free']) {
        assert.deepEqual(await found({ tags: [tag] }), ['One', 'Two'], tag);
      }
      for (const allergen of ['tree nuts', 'Tree-Nuts', 'tree  nuts ']) {
        assert.deepEqual(await found({ without_allergens: [allergen] }), ['Three', 'Two'], allergen);
      }
    } finally {
      await desk.stop();
    }
  });

  it('takes declared allergens from a list, from words and from switches', async () => {
    for (const allergens of [['nuts', 'milk'], 'Nuts, milk', { nuts: true, milk: 'traces', egg: false }]) {
      const product = aProduct({ attributes: { allergens } });
      await scene.index(productEvent(product));
      assert.deepEqual((await chunksOf(product.id))[0]?.allergens, ['milk', 'nuts']);
    }
  });

  it('embeds nothing when only the price or the availability changes', async () => {
    const product = aProduct();
    await scene.index(productEvent(product));
    const [before] = await chunksOf(product.id);
    const asked = scene.embedder.asked();
    for (const [version, change] of [
      { price: 990 },
      { available: false },
      { price: 1_090, available: true },
    ].entries()) {
      const outcome = await scene.index(productEvent({ ...product, ...change, version: version + 2 }));
      assert.deepEqual(outcome, ['indexed']);
    }
    assert.equal(scene.embedder.asked(), asked);
    const [after] = await chunksOf(product.id);
    assert.deepEqual([after?.id, after?.price, after?.available], [before?.id, 1_090, true]);
    assert.equal(after?.vector_hash, after?.content_hash);
  });

  it('embeds of a changed document only the passages that are new', async () => {
    const sections = Array.from(
      { length: 6 },
      (_, index) => `## Rule ${index}\n\nText of the rule ${index}.`,
    );
    const document = { id: randomUUIDv7(), tenant_id: randomUUIDv7(), title: 'Rules' };
    await scene.index(documentEvent({ ...document, text: sections.join('\n\n') }));
    const before = await chunksOf(document.id);
    assert.equal(before.length, 6);
    const asked = scene.embedder.asked();
    const changed = ['## First of all\n\nA new one.', ...sections.slice(0, 5), '## Rule 5\n\nChanged.'];
    await scene.index(documentEvent({ ...document, text: changed.join('\n\n'), version: 2 }));
    assert.equal(scene.embedder.asked(), asked + 2);
    const after = await chunksOf(document.id);
    assert.deepEqual(
      after.map(({ ordinal }) => ordinal),
      [0, 1, 2, 3, 4, 5, 6],
    );
    // What stayed is the same row, though it moved on by one.
    assert.deepEqual(
      after.slice(1, 6).map(({ id }) => id),
      before.slice(0, 5).map(({ id }) => id),
    );
    for (const { vector_hash, content_hash } of after) assert.equal(vector_hash, content_hash);
  });

  it('takes out what is no longer said, and everything of what is deleted', async () => {
    const document = { id: randomUUIDv7(), tenant_id: randomUUIDv7(), title: 'Rules' };
    await scene.index(documentEvent({ ...document, text: '## A\n\na\n\n## B\n\nb' }));
    await scene.index(documentEvent({ ...document, text: '## B\n\nb', version: 2 }));
    assert.deepEqual(
      (await chunksOf(document.id)).map(({ text }) => text),
      ['b'],
    );
    const gone = {
      ...documentEvent({ ...document, text: null, version: 3 }),
      event_type: 'document_deleted' as const,
    };
    assert.deepEqual(await scene.index(gone), ['removed']);
    assert.deepEqual(await chunksOf(document.id), []);
    const left = await scene.all('SELECT FROM chat.embedding_words WHERE tenant_id = $1', [
      document.tenant_id,
    ]);
    assert.equal(left.length, 0);
  });

  it('ignores what is older than the index, also after a deletion', async () => {
    const product = aProduct({ version: 5 });
    await scene.index(productEvent(product));
    assert.deepEqual(await scene.index(productEvent({ ...product, price: 1, version: 4 })), ['stale']);
    assert.deepEqual(await scene.index(productEvent({ ...product, version: 7 }, 'product_deleted')), [
      'removed',
    ]);
    assert.deepEqual(await scene.index(productEvent({ ...product, version: 6 })), ['stale']);
    assert.deepEqual(await chunksOf(product.id), []);
  });

  it('keeps the newest of several versions in a batch, whatever their order', async () => {
    const product = aProduct();
    const versions = [3, 1, 4, 2].map((version) => productEvent({ ...product, version, price: version }));
    assert.deepEqual(await scene.index(...versions), ['superseded', 'superseded', 'indexed', 'superseded']);
    assert.equal((await chunksOf(product.id))[0]?.price, 4);
  });

  it('is made again when another has indexed the source since it was read', async () => {
    const product = aProduct({ name: 'Ghost' });
    const [first, last] = [
      productEvent(product),
      productEvent({ ...product, version: 2 }, 'product_deleted'),
    ];
    const inner = onceIn(scene.pool);
    const overtaken = scene.indexWith()([decoded(last)], {
      signal: inner.signal,
      async once(effect) {
        await scene.index(first);
        return inner.once(effect);
      },
    });
    await assert.rejects(overtaken, { name: 'IndexConflictError', code: '40001' });
    assert.deepEqual(await scene.index(last), ['removed']);
    assert.deepEqual(await chunksOf(product.id), []);
  });

  it('takes a document of thousands of passages, and all of them', async () => {
    const count = 1_999;
    const questions = Array.from({ length: count }, (_, index) => `Question ${index}?\nAnswer`);
    const event = documentEvent({ kind: 'faq', title: 'x', text: questions.join('\n') });
    assert.deepEqual(await scene.index(event), ['indexed']);
    assert.equal((await chunksOf(event.document?.id ?? '')).length, count);
  });

  it('does nothing for events that were handled before', async () => {
    const product = aProduct();
    const event = productEvent(product);
    const outcomes = await scene.indexWith()([decoded(event)], onceIn(scene.pool, [event.event_id]));
    assert.deepEqual(outcomes, ['duplicate']);
    assert.deepEqual(await chunksOf(product.id), []);
  });

  it('keeps what is new without a vector while the model is away, and asks for it to be filled', async () => {
    const away = {
      ...scene.embedder,
      embed: () => Promise.reject(new UnavailableError('the endpoint is away')),
    };
    const index = scene.indexWith({ models: { inUse: async () => ({ active: away, others: [] }) } });
    const product = aProduct();
    const missed = scene.missed();
    assert.deepEqual(await index([decoded(productEvent(product))], onceIn(scene.pool)), ['indexed']);
    const [chunk] = await chunksOf(product.id);
    assert.equal(chunk?.vector_hash, null);
    assert.equal(scene.missed(), missed + 1);
    // A price is told all the same.
    await index([decoded(productEvent({ ...product, version: 2, price: 1 }))], onceIn(scene.pool));
    assert.equal((await chunksOf(product.id))[0]?.price, 1);
  });

  it('measures how long a change took until it can be found', async () => {
    const product = aProduct();
    await scene.index(productEvent(product));
    await scene.index(productEvent({ ...product, version: 2, price: 1 }));
    const freshness = scene.metrics.histogram('ragline_chat_index_freshness_seconds', '', ['change']);
    const counted = await freshness.get();
    for (const change of ['text', 'facts']) {
      const { value = 0 } =
        counted.values.find(
          ({ metricName, labels }) => metricName?.endsWith('_count') && labels.change === change,
        ) ?? {};
      assert.ok(value > 0, change);
    }
  });
});
