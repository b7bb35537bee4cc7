import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { questionsOf, sets } from './golden.ts';

describe('the golden set', () => {
  it('has sixty questions and more, one in five of them without an answer', () => {
    const questions = questionsOf('golden');
    const unanswerable = questions.filter(({ relevant }) => relevant.length === 0);
    assert.ok(questions.length >= 60);
    assert.ok(unanswerable.length >= questions.length / 5);
    assert.equal(new Set(questions.map(({ id }) => id)).size, questions.length);
  });

  it('has beside it thirty questions and more on which nothing is set, a third of them without an answer', () => {
    const golden = new Set(questionsOf('golden').map(({ question }) => question));
    const heldOut = questionsOf('held-out');
    assert.ok(heldOut.length >= 30);
    assert.ok(heldOut.filter(({ relevant }) => relevant.length === 0).length >= heldOut.length / 3);
    assert.deepEqual(
      heldOut.filter(({ question }) => golden.has(question)),
      [],
    );
  });

  it('demands something of every answer that there is', () => {
    for (const { id, relevant, says, never } of sets.flatMap(questionsOf)) {
      assert.ok(relevant.length === 0 || says.length + never.length > 0, id);
    }
  });
});
