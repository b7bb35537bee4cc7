import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { extracted, oldTurns } from './summaries.ts';
import { aPastTurn } from './turn.support.ts';

describe('summaries', () => {
  it('are made when there are many turns, of all but the newest', () => {
    const turns = Array.from({ length: 11 }, (_, i) => aPastTurn({ position: 2 * i + 2 }));
    assert.deepEqual(oldTurns(turns.slice(0, 10)), []);
    assert.deepEqual(oldTurns(turns), turns.slice(0, 7));
  });

  it('without a model tell what was asked, and how each answer began', () => {
    const turns = [
      aPastTurn({ question: 'Any soups?', answer: 'Yes, two. The first is hot.' }),
      aPastTurn({ question: null, answer: 'Your order is placed: number 7.' }),
    ];
    assert.equal(
      extracted('Asked: Are you open? – Yes.', turns),
      [
        'Asked: Are you open? – Yes.',
        'Asked: Any soups? – Yes, two.',
        'Your order is placed: number 7.',
      ].join('\n'),
    );
  });

  it('stay short however long the conversation, and keep what is newest', () => {
    const turns = Array.from({ length: 200 }, (_, i) =>
      aPastTurn({ question: `Question number ${i}?`, answer: 'word '.repeat(100) }),
    );
    const summary = extracted(null, turns);
    assert.ok(summary.split(/\s+/).length <= 200);
    assert.match(summary, /Question number 199\?/);
  });
});
