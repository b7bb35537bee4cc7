import assert from 'node:assert/strict';
import { countTokens } from 'gpt-tokenizer/encoding/cl100k_base';
import { countingInPieces } from './counting.ts';

const lengthsOf = (text: string): string[] => {
  const pieces: string[] = [];
  countingInPieces((piece) => pieces.push(piece))(text);
  return pieces;
};

describe('counting tokens in pieces', () => {
  it('loses nothing of a text, and gives no long piece to the tokenizer', () => {
    const runs = 'a'.repeat(1_048_576);
    const prose = 'Two pizzas and\na lemonade, please. '.repeat(500);
    const pairs = `x${'🍕'.repeat(700)}`;
    for (const text of ['', 'one', runs, prose, pairs]) {
      const pieces = lengthsOf(text);
      assert.equal(pieces.join(''), text);
      assert.ok(pieces.every((piece) => piece.length <= 128 && piece.isWellFormed()));
    }
  });

  it('counts prose as the tokenizer does', () => {
    const prose = 'Wood-fired pizza with tomatoes, mozzarella and basil: 8.90 euros. '.repeat(40);
    assert.equal(countingInPieces((piece) => countTokens(piece))(prose), countTokens(prose));
  });

  it('counts a run without a blank for no less than it is', () => {
    const run = 'abcdefghij'.repeat(200);
    assert.ok(countingInPieces((piece) => countTokens(piece))(run) >= countTokens(run));
  });
});
