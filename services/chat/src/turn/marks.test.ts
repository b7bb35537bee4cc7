import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { createMarks } from './marks.ts';

describe('citations in a text that arrives in pieces', () => {
  it('finds markers, alone, in a row and in a list', () => {
    assert.deepEqual(readAll(['Nuts [1]. Milk [2][3], eggs [1, 3].'], 3), {
      text: 'Nuts [1]. Milk [2][3], eggs [1][3].',
      cited: [1, 2, 3, 1, 3],
    });
  });

  it('finds the same however the text is cut', () => {
    const text = 'Open until ten [1]. [Not a marker], see [2] and [1,2]. Also [7], and [ 3 ] and x[2';
    const pieces = fc.array(fc.nat(text.length), { maxLength: 12 }).map((cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), text.length];
      return at.slice(1).map((end, i) => text.slice(at[i], end));
    });
    const expected = readAll([text], 3);
    assert.deepEqual(expected.cited, [1, 2, 1, 2]);
    fc.assert(fc.property(pieces, (cut) => assert.deepEqual(readAll(cut, 3), expected)));
  });

  it('leaves out what names nothing, with the blank before it', () => {
    assert.deepEqual(readAll(['We close at ten [4].'], 3), { text: 'We close at ten.', cited: [] });
    assert.deepEqual(readAll(['Both [1, 9].'], 3), { text: 'Both [1].', cited: [1] });
    assert.deepEqual(readAll(['Since [2019].'], 3), { text: 'Since [2019].', cited: [] });
  });

  it('shows at once what cannot become a marker, and holds back only what can', () => {
    const marks = createMarks(() => true);
    assert.equal(marks.push('See [here').text, 'See [here');
    assert.equal(marks.push(' and [').text, ' and');
    assert.equal(marks.push('1').text, '');
    assert.deepEqual(marks.push('] there'), { text: ' [1] there', cited: [1] });
  });

  it('never loses or doubles a character of a text without markers', () => {
    const word = fc.constantFrom('[', ']', ' ', 'a', ',', '\n', 'ä');
    fc.assert(
      fc.property(fc.array(fc.string({ unit: word, maxLength: 5 })), (pieces) => {
        assert.equal(readAll(pieces, 3).text, pieces.join(''));
      }),
    );
  });
});

function readAll(pieces: readonly string[], known: number) {
  const marks = createMarks((number) => number >= 1 && number <= known);
  const read = [...pieces.map((piece) => marks.push(piece)), marks.end()];
  return { text: read.map(({ text }) => text).join(''), cited: read.flatMap(({ cited }) => cited) };
}
