import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  allowanceAfter,
  type BatchCounts,
  type BatchSettings,
  chunkMax,
  nextStep,
  rateWaitMs,
} from './batch-plan.ts';

const settings: BatchSettings = { rate_per_s: null, ramp: [], in_flight: 50, stop_on_failures: null };
const none: BatchCounts = { pending: 0, behind: 0, in_flight: 0, resolved: 0, failed: 0, forgiven: 0 };
const step = (of: Partial<BatchSettings>, counts: Partial<BatchCounts>, allowance = Infinity) =>
  nextStep({ ...settings, ...of }, { ...none, ...counts }, allowance);

describe('the plan of a batch', () => {
  it('keeps no more under way than it may', () => {
    assert.deepEqual(step({}, { pending: 100 }), { kind: 'send', atMost: 50 });
    assert.deepEqual(step({}, { pending: 100, in_flight: 48 }), { kind: 'send', atMost: 2 });
    assert.deepEqual(step({}, { pending: 100, in_flight: 50 }), { kind: 'wait' });
    assert.deepEqual(step({ in_flight: 100_000 }, { pending: 100_000 }), { kind: 'send', atMost: chunkMax });
  });

  it('takes a step of the ramp only after all outcomes of the one before', () => {
    const ramp = [1, 10];
    assert.deepEqual(step({ ramp }, { pending: 99 }), { kind: 'send', atMost: 1 });
    assert.deepEqual(step({ ramp }, { pending: 98, in_flight: 1 }), { kind: 'wait' });
    assert.deepEqual(step({ ramp }, { pending: 98, resolved: 1 }), { kind: 'send', atMost: 10 });
    assert.deepEqual(step({ ramp }, { pending: 94, resolved: 1, in_flight: 4 }), { kind: 'send', atMost: 6 });
    assert.deepEqual(step({ ramp }, { pending: 88, resolved: 9, failed: 1, in_flight: 1 }), { kind: 'wait' });
    assert.deepEqual(step({ ramp }, { pending: 88, resolved: 10, failed: 1 }), { kind: 'send', atMost: 50 });
  });

  it('sends nothing after the nth failure, and says so', () => {
    const of = { stop_on_failures: 3 };
    assert.equal(step(of, { pending: 9, failed: 2 }).kind, 'send');
    assert.deepEqual(step(of, { pending: 9, failed: 3, in_flight: 5 }), { kind: 'stop', reason: '3 failed' });
    assert.equal(step(of, { pending: 9, failed: 3, forgiven: 3 }).kind, 'send');
    assert.deepEqual(step(of, { failed: 3 }), { kind: 'done' });
  });

  it('is done when nothing is left and nothing is under way', () => {
    assert.deepEqual(step({}, { resolved: 5, in_flight: 1 }), { kind: 'wait' });
    assert.deepEqual(step({}, { resolved: 6 }), { kind: 'done' });
  });

  it('gives up what is behind records that are not in the batch, once nothing under way can change that', () => {
    assert.equal(step({}, { pending: 2, behind: 2, in_flight: 1 }).kind, 'send');
    assert.deepEqual(step({}, { pending: 2, behind: 2 }), { kind: 'give-up-behind' });
    assert.equal(step({}, { pending: 3, behind: 2 }).kind, 'send');
  });

  it('sends at its rate, saves up little, and always has room for one', () => {
    assert.equal(allowanceAfter(0, 100, 20), 2);
    assert.equal(allowanceAfter(0, 60_000, 20), 5);
    assert.equal(allowanceAfter(0, 500, 1), 0.5);
    assert.equal(allowanceAfter(0.5, 60_000, 1), 1);
    assert.equal(allowanceAfter(0, 0, null), Infinity);
    assert.deepEqual(step({}, { pending: 9 }, 2.7), { kind: 'send', atMost: 2 });
    assert.deepEqual(step({}, { pending: 9 }, 0.7), { kind: 'wait' });
  });

  it('knows when its rate allows the next letter', () => {
    assert.equal(rateWaitMs(0, 0.01), 100_000);
    assert.equal(rateWaitMs(0.5, 1), 500);
    assert.equal(rateWaitMs(1.5, 1), 0);
    assert.equal(rateWaitMs(Number.POSITIVE_INFINITY, null), 0);
  });
});
