import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isFull } from './backlog.ts';

describe('the way out to Kafka', () => {
  it('is full from nine tenths of what the slot may keep', () => {
    assert.equal(isFull({ lag_bytes: 899, cap_bytes: 1_000 }), false);
    assert.equal(isFull({ lag_bytes: 900, cap_bytes: 1_000 }), true);
  });
  it('is never full without a limit, or without a slot', () => {
    assert.equal(isFull({ lag_bytes: 1e15, cap_bytes: null }), false);
    assert.equal(isFull(undefined), false);
  });
});
