import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { chunksOf, embeddedText, type Kind, type Source, type Tokenizer, usualLimits } from './chunk.ts';

/** Counts like a WordPiece tokenizer: words, signs and ideographs by themselves, two special tokens. */
const words: Tokenizer = {
  countTokens: (text) => 2 + (text.match(/[\p{L}\p{N}]{1,6}|[^\s\p{L}\p{N}]/gu) ?? []).length,
  maxTokens: 256,
};
const letters: Tokenizer = { countTokens: (text) => [...text].length, maxTokens: 200 };

const line = fc.oneof(
  fc.lorem({ maxCount: 40, mode: 'sentences' }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom(
    '',
    '',
    '# Refunds',
    '## Late orders',
    '### A?',
    'Do you deliver?',
    'Q: Is it open?',
    'A: Yes.',
    '```',
  ),
  fc.integer({ min: 1, max: 3_000 }).map((length) => 'x'.repeat(length)),
  fc.integer({ min: 1, max: 400 }).map((length) => '漢'.repeat(length)),
);
const source = fc.record<Source>({
  kind: fc.constantFrom<Kind>('menu', 'policy', 'faq', 'note'),
  title: fc.oneof(fc.lorem({ maxCount: 4 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 })),
  text: fc.array(line, { maxLength: 30 }).map((lines) => lines.join('\n')),
  category: fc.option(fc.lorem({ maxCount: 1 })),
  tags: fc.array(fc.constantFrom('vegan', 'spicy'), { maxLength: 3 }),
  allergens: fc.array(fc.constantFrom('gluten', 'milk'), { maxLength: 2 }),
  facts: fc.constantFrom([], ['kcal: 840']),
});

describe('chunks', () => {
  it('never exceed the limit of their kind or of a model, whatever the text is', () => {
    fc.assert(
      fc.property(source, fc.constantFrom([words], [letters], [words, letters]), (it, tokenizers) => {
        for (const { header, text } of chunksOf(it, usualLimits, tokenizers)) {
          for (const { countTokens, maxTokens } of tokenizers) {
            assert.ok(countTokens(embeddedText(header, text)) <= Math.min(maxTokens, usualLimits[it.kind]));
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('lose nothing: every letter of the text stands in a chunk, in its order', () => {
    fc.assert(
      fc.property(source, (it) => {
        const chunks = [...chunksOf(it, usualLimits, [words])];
        const kept = chunks.map(({ header, text }) => bare(`${header}${text}`)).join('');
        assert.ok(
          holds(kept, bare(it.text.replace(/^ {0,3}#{1,6}\s/gm, '').replace(/^\s*(?:\*\*)?[qa]:/gim, ''))),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('are the same each time, numbered from 0, and none is empty', () => {
    fc.assert(
      fc.property(source, (it) => {
        const chunks = [...chunksOf(it, usualLimits, [words])];
        assert.deepEqual([...chunksOf(structuredClone(it), usualLimits, [words])], chunks);
        assert.deepEqual(
          chunks.map(({ ordinal }) => ordinal),
          chunks.map((_, index) => index),
        );
        for (const { text } of chunks) assert.notEqual(text.trim(), '');
      }),
      { numRuns: 20 },
    );
  });

  it('keep a menu item whole, with what it is asked for by and without what it costs', () => {
    const [chunk, ...others] = chunksOf(aSource(), usualLimits, [words]);
    assert.deepEqual(others, []);
    assert.equal(chunk?.header, 'Menu · pizza');
    assert.equal(
      chunk?.text,
      'Margherita.\nTomato, mozzarella, basil\nTags: vegetarian.\nAllergens: gluten, milk.\nkcal: 840.',
    );
  });

  it('name the dish in every part of one that is too long', () => {
    const long = aSource({ text: 'Baked with care in our oven. '.repeat(80) });
    const chunks = [...chunksOf(long, usualLimits, [words])];
    assert.ok(chunks.length > 1);
    for (const { header } of chunks) assert.equal(header, 'Menu · pizza · Margherita');
  });

  it('put question and answer together, and repeat the question over an answer in parts', () => {
    const long = 'We answer at length, and then some more. '.repeat(40);
    const text = `## Do you deliver?\nYes, within 5 km.\n\n## Can I pay by card?\n${long}`;
    const chunks = [...chunksOf(aSource({ kind: 'faq', title: 'Ordering', text }), usualLimits, [words])];
    assert.equal(chunks[0]?.text, 'Do you deliver?\nYes, within 5 km.');
    assert.ok(chunks.length > 2);
    for (const { text } of chunks.slice(1)) assert.ok(text.startsWith('Can I pay by card?\n'), text);
  });

  it('leave out a heading that says nothing but where the next ones stand', () => {
    const text =
      '# Visit\n\n## Outside\n\n### Is there parking?\n\nYes.\n\n## Inside\n\n### Is there Wi-Fi?\n\nFree.';
    for (const kind of ['faq', 'note'] as const) {
      const chunks = [...chunksOf(aSource({ kind, title: 'Visit', text }), usualLimits, [words])];
      const label = kind === 'faq' ? 'FAQ' : 'Note';
      assert.equal(chunks.length, 2);
      assert.ok(chunks[0]?.header.startsWith(`${label} · Visit › Outside`), chunks[0]?.header);
    }
  });

  it('ask the title when a FAQ has no other question', () => {
    const [chunk] = chunksOf(
      aSource({ kind: 'faq', title: 'Is there parking?', text: 'Behind the house.' }),
      usualLimits,
      [words],
    );
    assert.equal(chunk?.text, 'Is there parking?\nBehind the house.');
  });

  it('say in the header under which headings a text stands', () => {
    const text = '# Refunds\n\nWe refund.\n\n## Late orders\n\nWithin an hour.\n\n## Cold food\n\nAt once.';
    const chunks = [...chunksOf(aSource({ kind: 'policy', title: 'Refunds', text }), usualLimits, [words])];
    assert.deepEqual(
      chunks.map((it) => [it.header, it.text]),
      [
        ['Policy · Refunds', 'We refund.'],
        ['Policy · Refunds › Late orders', 'Within an hour.'],
        ['Policy · Refunds › Cold food', 'At once.'],
      ],
    );
  });

  it('split a policy by what the embedding model reads, though more was asked for', () => {
    const text = 'Every sentence has its own end. '.repeat(60);
    const long: Tokenizer = { ...words, maxTokens: 8_191 };
    const counted = (tokenizer: Tokenizer) =>
      [...chunksOf(aSource({ kind: 'policy', text }), usualLimits, [tokenizer])].map(({ tokens }) => tokens);
    assert.ok(Math.max(...counted(words)) <= 256);
    assert.ok(Math.max(...counted(long)) > 256);
  });
});

function aSource(fields: Partial<Source> = {}): Source {
  return {
    kind: 'menu',
    title: 'Margherita',
    text: 'Tomato, mozzarella, basil',
    category: 'pizza',
    tags: ['vegetarian'],
    allergens: ['gluten', 'milk'],
    facts: ['kcal: 840'],
    ...fields,
  };
}

function bare(text: string): string {
  return text.replace(/[\s*_#-]/g, '');
}

/** Whether the letters of `part` all stand in `whole`, in their order. */
function holds(whole: string, part: string): boolean {
  let at = 0;
  for (const letter of part) {
    at = whole.indexOf(letter, at);
    if (at < 0) return false;
    at += letter.length;
  }
  return true;
}
