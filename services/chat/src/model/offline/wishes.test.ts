import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { byRule, codeIn } from './intents.ts';
import type { Intent } from './phrases.ts';
import { linesIn } from './said-lines.ts';
import { type Wishes, wishesOf } from './wishes.ts';
import { languageOf } from './wording.ts';
import { isAlike, namedIn, topicsOf } from './words.ts';

const none: Wishes = { tags: [], withoutTags: [], withoutAllergens: [], withoutWords: [] };

describe('wishes', () => {
  const nuts = ['nuts', 'peanuts'];
  const cases: [question: string, wishes: Partial<Wishes>][] = [
    ['a vegan pizza under 10 euros', { tags: ['vegan'], category: 'pizza', maxPrice: 1000 }],
    ['desserts without nuts', { category: 'desserts', withoutAllergens: nuts }],
    ['a dessert without nuts, please', { category: 'desserts', withoutAllergens: nuts }],
    ['Do you have free wifi?', {}],
    ['no nuts please, and no eggs', { withoutAllergens: ['nuts', 'egg', 'peanuts'] }],
    [
      'nut-free and gluten free pasta',
      { category: 'pasta', withoutAllergens: ['nuts', 'gluten', 'peanuts'] },
    ],
    ['I am allergic to fish or shellfish', { withoutAllergens: ['fish', 'crustaceans', 'molluscs'] }],
    ['not spicy, without meat', { tags: ['vegetarian'], withoutTags: ['spicy'] }],
    ['a burger without onions', { category: 'burgers', withoutWords: ['onions'] }],
    ['between 8 and 12,50 €', { minPrice: 800, maxPrice: 1250 }],
    ['at most €9.90', { maxPrice: 990 }],
    ['something for 5 euros', { maxPrice: 500 }],
    ['a dish under 500 calories', {}],
    ['your cheapest pizza', { category: 'pizza', sort: 'cheapest' }],
    [
      'vegetarische Vorspeisen bis 8 Euro ohne Milch',
      { tags: ['vegetarian'], category: 'starters', maxPrice: 800, withoutAllergens: ['milk'] },
    ],
  ];
  for (const [question, wishes] of cases) {
    it(`of “${question}”`, () => {
      assert.deepEqual(wishesOf(question), { ...none, ...wishes });
    });
  }
});

describe('intents by rule', () => {
  const cases: [text: string, intent: Intent | undefined][] = [
    ['Order two margheritas', 'order'],
    ["I'd like a tiramisu please", 'order'],
    ['Can I have three espressos?', 'order'],
    ['I would like to order a pizza with code SAVE10', 'order'],
    ['Which burgers do you have?', 'menu'],
    ['What is in the Garden Burger?', undefined],
    ['a magherita please', 'order'],
    ['A table for two please', undefined],
    ['What is the cheapest burger you have?', 'menu'],
    ['Is there egg in the tagliatelle?', 'dish'],
    ['Could there be traces of nuts?', 'house'],
    ['How do I order?', undefined],
    ["I'd like to know when you open", undefined],
    ['Can I cancel my order?', undefined],
    ['Can I get a refund?', undefined],
    ['yes', 'confirm'],
    ['Yes, place the order.', 'confirm'],
    ['confirm', 'confirm'],
    ['use code SAVE10', 'promotion'],
    ['Hi!', 'greeting'],
    ['Thanks a lot', 'thanks'],
    ['Summarise our conversation', 'conversation_summary'],
    ['Summarise your refund policy', 'document_summary'],
    ['Where is my order?', 'status'],
  ];
  for (const [text, intent] of cases) {
    it(`“${text}” is ${intent ?? 'nothing that a rule knows'}`, () => assert.equal(byRule(text), intent));
  }

  it('codes are written in capitals or named as one', () => {
    assert.equal(codeIn('apply BENVENUTO10 please'), 'BENVENUTO10');
    assert.equal(codeIn('use the code summer-5'), 'summer-5');
    assert.equal(codeIn('do you have a code for me'), undefined);
    assert.equal(codeIn('DO YOU DELIVER?'), undefined);
  });
});

describe('what is asked for', () => {
  it('goes by what must not be in it, whatever words stand beside that', () => {
    for (const [question, without] of [
      ['I am allergic to nuts, what can I eat?', ['nuts', 'peanuts']],
      ['I am allergic to dairy, which pizza can I have?', ['milk']],
      ['glutn free', ['gluten']],
      ['Ich bin gegen Nüsse allergisch, was kann ich essen?', ['nuts', 'peanuts']],
    ] as const) {
      const { withoutAllergens, withoutWords } = wishesOf(question);
      assert.deepEqual([withoutAllergens, withoutWords], [without, []], question);
    }
    assert.equal(byRule('Ich bin gegen Nüsse allergisch, was kann ich essen?'), 'menu');
    assert.equal(byRule('I am allergic to pistachios. Can I eat the Gelato?'), 'dish');
  });

  it('is an order where only a number and a dish are said, and no promotion where a code comes with it', () => {
    assert.equal(byRule('two Limonata'), 'order');
    assert.equal(byRule('two margherita and one diavola please, code NOPE99'), 'order');
    assert.deepEqual(linesIn('two margherita and one diavola, code NOPE99'), [
      { words: 'margherita', quantity: 2 },
      { words: 'diavola', quantity: 1 },
    ]);
    assert.equal(byRule('two people, is there a table?'), undefined);
    assert.notEqual(byRule('Give me your best pizza'), 'order');
    assert.equal(byRule('two pizzas were missing from my delivery'), undefined);
    assert.equal(byRule('2 people for tonight'), undefined);
    assert.equal(byRule('Is there any promotion running?'), 'promotion');
    assert.equal(byRule('Which burgers do you have?'), 'menu');
  });

  it('is English where only words are German that are English too', () => {
    assert.equal(languageOf('Who was Napoleon?'), 'en');
    assert.equal(languageOf('Was kostet die Diavola?'), 'de');
  });
});

describe('words', () => {
  it('forgive a typing mistake in a long word, and none in a short one', () => {
    assert.ok(isAlike('margarita', 'margherita'));
    assert.ok(isAlike('chesseburger', 'cheeseburger'));
    assert.ok(!isAlike('veal', 'vegan'));
    assert.ok(!isAlike('cola', 'coal'.slice(0, 3)));
  });

  it('find a name whatever its accents, its case and its number', () => {
    assert.equal(namedIn('Tiramisù', topicsOf('two TIRAMISUS please')), 1);
    assert.ok(namedIn('Double Cheeseburger', topicsOf('a cheeseburger')) < 1);
  });
});
