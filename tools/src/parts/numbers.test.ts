import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { median, percentile } from './numbers.ts';

describe('figures of a measurement', () => {
  it('are the values themselves, never made up between two', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    assert.deepEqual(
      [0, 0.5, 0.95, 1].map((share) => percentile(values, share)),
      [1, 50, 95, 100],
    );
    assert.equal(percentile([7], 0.95), 7);
  });

  it('take the middle of an odd count, and the mean of the two in the middle of an even one', () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([9, 1, 5, 7]), 6);
    assert.ok(Number.isNaN(median([])));
  });
});
