import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createNumbering, renderChunk, searchTextOf } from './knowledge.ts';
import { aChunk } from './turn.support.ts';

describe('what a model is shown of a source', () => {
  it('has its number, and price and availability as they are now', () => {
    const chunk = aChunk({
      kind: 'menu',
      source_id: 'product-1',
      header: 'Menu: Margherita',
      text: 'Tomato and cheese.',
      price: 950,
      currency: 'EUR',
      available: false,
      allergens: ['gluten', 'milk'],
    });
    assert.equal(
      renderChunk(chunk, 3),
      '[3] Menu: Margherita\n(price 950 EUR; not available; allergens gluten, milk; product_id product-1)\nTomato and cheese.',
    );
  });

  it('keeps its number when it is found again', () => {
    const { cite, get, chunks } = createNumbering();
    const [first, second, third] = [aChunk(), aChunk(), aChunk()];
    assert.deepEqual(cite([first, second]), [1, 2]);
    assert.deepEqual(cite([third, first]), [3, 1]);
    assert.deepEqual([get(3), chunks().length, get(4)], [third, 3, undefined]);
  });
});

describe('what is searched by', () => {
  const before = 'Which pizzas are vegan?';
  const cases: [question: string, withBefore: boolean][] = [
    ['And without gluten?', true],
    ['How much is it?', true],
    ['Prices?', true],
    ['Which soups do you have today, and what do they cost with bread?', false],
    ['Where can I park my car near you?', false],
  ];
  for (const [question, withBefore] of cases) {
    it(`is ${withBefore ? 'the question with the one before it' : 'the question alone'}: ${question}`, () => {
      assert.equal(searchTextOf(question, before), withBefore ? `${before}\n${question}` : question);
    });
  }

  it('is the question alone when there is none before it', () => {
    assert.equal(searchTextOf('And then?', undefined), 'And then?');
  });
});
