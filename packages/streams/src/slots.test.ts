import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createSlots } from './slots.ts';

describe('slots', () => {
  it('go to the next who waits when the first wants one no more', () => {
    const slots = createSlots(1);
    const woken: string[] = [];
    slots.take(() => {});
    slots.take(() => void woken.push('ended meanwhile'));
    slots.take(() => {
      woken.push('next');
      slots.take(() => {});
    });
    slots.take(() => void woken.push('in vain'));
    slots.release();
    assert.deepEqual(woken, ['ended meanwhile', 'next']);
  });
});
