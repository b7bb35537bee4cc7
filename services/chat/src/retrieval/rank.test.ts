import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { byRules, diversified, type Rankable } from './rank.ts';

const now = new Date('2026-01-01T00:00:00Z');
const longAgo = new Date('2020-01-01T00:00:00Z');
type Named = Rankable & { name: string };

/** A candidate in a plane: its angle to the query decides its score, and its likeness to others. */
function at(name: string, degrees: number, changes: Partial<Rankable> = {}): Named {
  const angle = (degrees / 180) * Math.PI;
  const vector = Float32Array.of(Math.cos(angle), Math.sin(angle));
  return {
    name,
    score: Math.cos(angle),
    tokens: 10,
    promoted: false,
    changedAt: longAgo,
    vector,
    ...changes,
  };
}
const names = (found: readonly Named[]) => found.map(({ name }) => name);
const choose = (candidates: Named[], limit: number, tokenBudget = 1_000) =>
  names(diversified(byRules(candidates, 0, now), { limit, tokenBudget }));

describe('ranking candidates', () => {
  it('orders by score, then by what is promoted and what is fresh', () => {
    const ranked = byRules(
      [
        at('old', 30),
        at('fresh', 30, { changedAt: now }),
        at('promoted', 30, { promoted: true }),
        at('near', 10),
      ],
      0,
      now,
    );
    assert.deepEqual(names(ranked), ['near', 'promoted', 'fresh', 'old']);
  });

  it('lifts nothing that is promoted above what fits better by far', () => {
    assert.deepEqual(names(byRules([at('promoted', 45, { promoted: true }), at('near', 10)], 0, now)), [
      'near',
      'promoted',
    ]);
  });

  it('leaves out what is under the floor, promoted or not', () => {
    assert.deepEqual(names(byRules([at('near', 10), at('far', 80, { promoted: true })], 0.5, now)), ['near']);
  });

  it('takes no change in the future for fresher than now', () => {
    const tomorrow = new Date(now.getTime() + 24 * 3_600_000);
    const [one, other] = byRules(
      [at('a', 30, { changedAt: tomorrow }), at('b', 30, { changedAt: now })],
      0,
      now,
    );
    assert.equal(one?.worth, other?.worth);
  });
});

describe('choosing chunks that do not say the same', () => {
  it('takes one that says something else before one that repeats', () => {
    assert.deepEqual(choose([at('best', 0), at('repeats', 1), at('other', -50)], 2), ['best', 'other']);
  });

  it('takes nothing beside the point for the sake of being different', () => {
    assert.deepEqual(choose([at('best', 20), at('similar', 50), at('beside', -80)], 2), ['best', 'similar']);
  });

  it('takes what repeats when there is nothing else', () => {
    assert.deepEqual(choose([at('best', 0), at('repeats', 1)], 5), ['best', 'repeats']);
  });

  it('passes over what does not fit into what is left of the budget', () => {
    const candidates = [
      at('best', 0, { tokens: 60 }),
      at('long', 20, { tokens: 50 }),
      at('short', 40, { tokens: 40 }),
    ];
    assert.deepEqual(choose(candidates, 5, 100), ['best', 'short']);
  });
});
