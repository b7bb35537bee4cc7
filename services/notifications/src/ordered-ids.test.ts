import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createOrderedIds } from './ordered-ids.ts';

describe('ordered ids', () => {
  it('rise although the clock stands still or goes back', () => {
    const clock = { ms: 1_790_000_000_000 };
    const next = createOrderedIds(() => clock.ms);
    const ids = Array.from({ length: 10_000 }, (_, at) => {
      if (at === 7_000) clock.ms -= 5_000;
      return next();
    });
    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, ids.length);
  });

  it('are UUIDs of version 7 with their time', () => {
    const id = createOrderedIds(() => 0x0199_8877_6655)();
    assert.match(id, /^01998877-6655-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
