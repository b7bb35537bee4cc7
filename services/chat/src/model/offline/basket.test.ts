import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { basketOf } from './basket.ts';
import { linesIn } from './said-lines.ts';

describe('the basket of a conversation', () => {
  const said = (...texts: string[]) => texts.map((text) => ({ role: 'user' as const, text }));

  it('reads quantities, wishes for an item, and several items at once', () => {
    assert.deepEqual(
      linesIn('I would like 2 x Margherita without basil, one cola and three portions of fries, please'),
      [
        { words: 'margherita', quantity: 2, notes: 'without basil' },
        { words: 'cola', quantity: 1 },
        { words: 'fries', quantity: 3 },
      ],
    );
  });

  it('grows, shrinks, and takes a code', () => {
    const { lines, promoCode } = basketOf(
      said(
        'Order two margheritas',
        'add a cola',
        'add another margherita',
        'remove the cola',
        'use code SAVE10',
      ),
    );
    assert.deepEqual(lines, [{ words: 'margheritas', quantity: 3 }]);
    assert.equal(promoCode, 'SAVE10');
  });

  it('knows what “it” was, and is empty once the order is placed', () => {
    const talk = [
      { role: 'user' as const, text: 'How much is the tiramisu?' },
      { role: 'assistant' as const, text: 'Tiramisù costs 6.90 € [1].' },
      { role: 'user' as const, text: "I'll take two of them" },
    ];
    assert.deepEqual(basketOf(talk).lines, [{ words: 'Tiramisù', quantity: 2 }]);
    const placed = { role: 'assistant' as const, text: 'Your order is placed: number 1, 13.80 EUR in all.' };
    assert.deepEqual(basketOf([...talk, placed]).lines, []);
  });

  it('has as many as were said, in digits and in words', () => {
    const asked = (text: string) => basketOf(said(text)).lines.map(({ quantity }) => quantity);
    assert.deepEqual(asked('I want 1000 margherita'), [1_000]);
    assert.deepEqual(asked('I want 1,000 margherita'), [1_000]);
    assert.deepEqual(asked('order a dozen cola and twenty limonata'), [12, 20]);
    assert.deepEqual(asked('I would like two dozen wings x'), [24]);
    assert.deepEqual(asked('order margherita x 3'), [3]);
  });

  it('takes no number that cannot be ordered for another one', () => {
    for (const text of [
      'I want -2 margherita',
      'I want 0 margherita',
      'I want 1001 margherita',
      'I want 1.5 margherita',
    ])
      assert.deepEqual(basketOf(said('order a cola', text)), {
        lines: [{ words: 'cola', quantity: 1 }],
        news: { kind: 'too_many' },
      });
  });

  it('is changed to a number, or to another dish', () => {
    const start = said('order a margherita and a tiramisu');
    const then = (...texts: string[]) =>
      basketOf([...start, ...said(...texts)]).lines.map(({ words, quantity }) => `${quantity} ${words}`);
    assert.deepEqual(then('make it 3 tiramisu'), ['1 margherita', '3 tiramisu']);
    assert.deepEqual(then('Actually, make that two please.'), ['1 margherita', '2 tiramisu']);
    assert.deepEqual(then('change the margherita to a diavola'), ['1 diavola', '1 tiramisu']);
    assert.deepEqual(then('4 margherita instead'), ['4 margherita', '1 tiramisu']);
    assert.deepEqual(then('change the time to eight'), ['1 margherita', '1 tiramisu']);
  });

  it('loses as many as are taken out, and all where no number is said', () => {
    const start = said('order two margherita and two tiramisu');
    const then = (...texts: string[]) =>
      basketOf([...start, ...said(...texts)]).lines.map(({ words, quantity }) => `${quantity} ${words}`);
    assert.deepEqual(then('remove one margherita'), ['1 margherita', '2 tiramisu']);
    assert.deepEqual(then('remove one margherita', 'remove one margherita'), ['2 tiramisu']);
    assert.deepEqual(then('remove the margherita'), ['2 tiramisu']);
    assert.deepEqual(then('please remove one'), ['2 margherita', '1 tiramisu']);
    assert.deepEqual(then('remove the margherita and the tiramisu'), []);
    assert.deepEqual(then('remove the cola'), ['2 margherita', '2 tiramisu']);
    assert.deepEqual(basketOf([...start, ...said('remove the cola')]).news, {
      kind: 'missing',
      words: 'cola',
    });
  });

  it('forgets what cannot be had, so that the rest can be ordered', () => {
    const talk = [
      ...said('order a margherita and a coke'),
      {
        role: 'assistant' as const,
        text: 'I find no “coke” on the menu, so nothing is ordered yet. What would you like instead?',
      },
      ...said('order a frutti'),
      {
        role: 'assistant' as const,
        text: 'Sold out at the moment: Frutti di Mare [3]. Nothing is ordered yet; what would you like instead?',
      },
      ...said('add a limonata'),
    ];
    assert.deepEqual(
      basketOf(talk).lines.map(({ words }) => words),
      ['margherita', 'limonata'],
    );
  });

  it('knows which of several is meant by the answer, in the number that was asked for first', () => {
    const talk = [
      ...said('order three beers and a cola'),
      {
        role: 'assistant' as const,
        text: 'Which “beers” do you mean?\n- Root Beer, 3.90 € [1]\n- Wheat Beer, 5.20 € [2]',
      },
    ];
    assert.deepEqual(basketOf([...talk, ...said('the wheat beer please')]), {
      lines: [
        { words: 'cola', quantity: 1 },
        { words: 'Wheat Beer', quantity: 3 },
      ],
      news: { kind: 'changed' },
    });
    assert.deepEqual(basketOf([...talk, ...said('I will take two of the root beer')]).lines.at(-1), {
      words: 'Root Beer',
      quantity: 2,
    });
    assert.deepEqual(basketOf([...talk, ...said('Do they contain gluten?')]).lines, [
      { words: 'cola', quantity: 1 },
    ]);
  });
});
