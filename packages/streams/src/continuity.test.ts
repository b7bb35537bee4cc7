import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createContinuity } from './continuity.ts';

describe('the continuity of batches', () => {
  it('takes what goes on where the last batch ended', () => {
    const at = createContinuity(5n);
    assert.deepEqual(at.judge(5n), { kind: 'take' });
    at.reach(9n);
    assert.deepEqual(at.judge(9n), { kind: 'take' });
  });

  it('takes any first batch of a group that has committed nothing', () => {
    assert.deepEqual(createContinuity(undefined).judge(77n), { kind: 'take' });
  });

  it('reads again from the edge of a hole: the batch was fetched before the group joined anew', () => {
    const at = createContinuity(5n);
    assert.deepEqual(at.judge(12n), { kind: 'rewind', at: 5n });
    assert.deepEqual(at.judge(5n), { kind: 'take' });
  });

  it('accepts a hole that is there again: retention has removed what was in it', () => {
    const at = createContinuity(5n);
    at.judge(12n);
    assert.deepEqual(at.judge(12n), { kind: 'take' });
    at.reach(15n);
    assert.deepEqual(at.judge(20n), { kind: 'rewind', at: 15n });
  });

  it('starts over when the log begins anew below', () => {
    const at = createContinuity(500n);
    assert.deepEqual(at.judge(0n), { kind: 'restart' });
  });
});
