import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { phrases } from '../../../../services/chat/src/model/offline/phrases.ts';
import { wordsOf } from '../../../../services/chat/src/model/offline/words.ts';
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

  it('has beside it forty questions and more, written before anything was set, a quarter of them without an answer', () => {
    const others = [...questionsOf('golden'), ...questionsOf('held-out')];
    const fresh = questionsOf('fresh');
    assert.ok(fresh.length >= 40);
    assert.ok(fresh.filter(({ relevant }) => relevant.length === 0).length >= 14);
    for (const { question } of fresh) {
      const alike = others.filter((other) => sharedWords(question, other.question) >= 0.6);
      assert.deepEqual(alike, [], question);
    }
  });

  it('asks nothing that the responder has for an example, in these words or nearly', () => {
    const examples = Object.values(phrases).flat();
    for (const { question } of sets.flatMap(questionsOf)) {
      const alike = examples.filter((example) => sharedWords(question, example) >= 0.6);
      assert.deepEqual(alike, [], question);
    }
  });

  it('demands something of every answer that there is', () => {
    for (const { id, relevant, says, never } of sets.flatMap(questionsOf)) {
      assert.ok(relevant.length === 0 || says.length + never.length > 0, id);
    }
  });
});

/** Which part of the words of both texts they share. */
function sharedWords(a: string, b: string): number {
  const [one, other] = [new Set(wordsOf(a)), new Set(wordsOf(b))];
  const shared = [...one].filter((word) => other.has(word)).length;
  return shared / (one.size + other.size - shared);
}
