import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ndcgAt, recallAt, reciprocalRankAt } from './measures.ts';

describe('measures of a ranking', () => {
  const judgements = new Map([
    ['a', 2],
    ['b', 1],
    ['c', 1],
  ]);

  it('count what is relevant among the first', () => {
    assert.equal(recallAt(2, ['x', 'a', 'b'], judgements), 1 / 2);
    assert.equal(recallAt(5, ['x', 'a', 'b'], judgements), 2 / 3);
    assert.equal(recallAt(1, ['a'], judgements), 1);
    assert.equal(recallAt(5, [], judgements), 0);
  });

  it('take one by the place of the first that is relevant', () => {
    assert.equal(reciprocalRankAt(10, ['x', 'y', 'b'], judgements), 1 / 3);
    assert.equal(reciprocalRankAt(2, ['x', 'y', 'b'], judgements), 0);
  });

  it('gain most by the best order, and less by what comes later', () => {
    assert.equal(ndcgAt(10, ['a', 'b', 'c'], judgements), 1);
    assert.ok(ndcgAt(10, ['b', 'a', 'c'], judgements) < 1);
    assert.equal(ndcgAt(10, ['x', 'y'], judgements), 0);
    const ideal = 2 + 1 / Math.log2(3) + 1 / Math.log2(4);
    assert.ok(Math.abs(ndcgAt(10, ['x', 'a'], judgements) - 2 / Math.log2(3) / ideal) < 1e-12);
  });
});
