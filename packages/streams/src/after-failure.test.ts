import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { afterFailure, retryDelaysMs } from './after-failure.ts';
import type { Failure } from './errors.ts';

const unknown: Failure = { kind: 'unknown', code: 'handler_failed' };
const away: Failure = { kind: 'unavailable' };
const lowest = () => 0;
const highest = () => 0.999_999;

describe('the step after a failure', () => {
  it('gives up at once what trying again cannot help', () => {
    for (const attempt of [1, 2, 6]) {
      const step = afterFailure({ kind: 'permanent', code: 'value_null' }, attempt, 0, lowest);
      assert.deepEqual(step, { kind: 'dead-letter', errorCode: 'value_null' });
    }
  });

  it('tries anything else again five times, ten seconds in all, and then gives it up', () => {
    const steps = [1, 2, 3, 4, 5, 6].map((attempt) => afterFailure(unknown, attempt, 0, lowest));
    const delays = steps.flatMap((step) => (step.kind === 'retry' ? [step.delayMs] : []));
    assert.deepEqual(delays, retryDelaysMs);
    const sum = delays.reduce((total, delay) => total + delay, 0);
    assert.ok(sum > 9_900 && sum <= 10_000, `${sum} ms`);
    assert.deepEqual(steps.at(-1), { kind: 'dead-letter', errorCode: 'handler_failed' });
  });

  it('waits longer each time, and never longer than planned', () => {
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const early = afterFailure(unknown, attempt, 0, highest);
      const late = afterFailure(unknown, attempt, 0, lowest);
      assert.ok(early.kind === 'retry' && late.kind === 'retry');
      assert.ok(early.delayMs < late.delayMs && early.delayMs >= late.delayMs * 0.79);
    }
  });

  it('waits for what is away however often, spends no attempt, and looks again within four seconds', () => {
    for (const attempt of [1, 5, 6, 1_000]) {
      for (const pauses of [0, 1, 7, 1_000_000]) {
        const step = afterFailure(away, attempt, pauses, lowest);
        assert.ok(step.kind === 'pause' && step.delayMs >= 250 && step.delayMs <= 4_000);
      }
    }
  });
});
