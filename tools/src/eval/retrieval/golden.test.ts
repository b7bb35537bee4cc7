import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { goldenSet } from './golden.ts';

describe('the golden set', () => {
  it('has sixty questions and more, one in five of them without an answer', () => {
    const questions = goldenSet();
    const unanswerable = questions.filter(({ relevant }) => relevant.length === 0);
    assert.ok(questions.length >= 60);
    assert.ok(unanswerable.length >= questions.length / 5);
    assert.equal(new Set(questions.map(({ id }) => id)).size, questions.length);
  });

  it('demands something of every answer that there is', () => {
    for (const { id, relevant, says, never } of goldenSet()) {
      assert.ok(relevant.length === 0 || says.length + never.length > 0, id);
    }
  });
});
