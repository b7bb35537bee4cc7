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

  it('come to who waits for one in its turn, though others take and release without a pause', async () => {
    const slots = createSlots(2);
    let jobs = 0;
    const pump = () => {
      while (jobs < 1_000 && slots.take(pump)) {
        jobs += 1;
        void Promise.resolve().finally(() => {
          slots.release();
          pump();
        });
      }
    };
    pump();
    await slots.taken();
    assert.ok(jobs < 10, `${jobs} jobs before it`);
    slots.release();
  });
});
