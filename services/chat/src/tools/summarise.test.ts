import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { bounded, bySentences, renumbered } from './summarise.ts';
import { aChunk } from './tools.support.ts';

describe('a summary', () => {
  it('cites by the numbers of the turn, and nothing that is not there', () => {
    assert.equal(
      renumbered('Open daily [1]. Cash only [3]. Odd [7][2].', [4, 5, 9]),
      'Open daily [4]. Cash only [9]. Odd[5].',
    );
  });

  it('without a model is the first sentences of each source in turn, with their sources', () => {
    const chunks = [aChunk({ text: 'We open at ten. We close at nine.' }), aChunk({ text: 'Cash or card.' })];
    const material = { kind: 'documents' as const, topic: 'hours', chunks, numbers: [2, 3], maxWords: 50 };
    assert.equal(bySentences(material), 'We open at ten. [2] Cash or card. [3] We close at nine. [2]');
  });

  it('without a model says of a conversation what the customer said', () => {
    const said = [
      { role: 'user' as const, content: 'A pizza,\nplease' },
      { role: 'assistant' as const, content: 'Which one?' },
    ];
    assert.equal(
      bySentences({ kind: 'conversation', said, maxWords: 9 }),
      'The customer said: A pizza, please',
    );
  });

  it('ends with a sentence while the words last, and is never longer than asked for', () => {
    assert.equal(bounded('One two three. Four five six. Seven.', 6), 'One two three. Four five six.');
    assert.equal(bounded('One two three four five six', 3), 'One two three…');
    assert.equal(bounded('One two. [1] Three four. [2]', 2), 'One two. [1]');
  });
});
