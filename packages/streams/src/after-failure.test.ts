import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { afterFailure, defaultPolicy, type RetryPolicy, routed } from './after-failure.ts';
import { PermanentError, UnavailableError } from './errors.ts';

const first = { attempt: 1, conflicts: 0, pauses: 0 };
const policy: RetryPolicy = { ...defaultPolicy, delaysMs: [10, 20], jitterMs: 0 };
const unknown = { kind: 'unknown', code: 'handler_failed' } as const;
const steps = (attempts: number[], of = policy) =>
  attempts.map((attempt) => afterFailure(unknown, { ...first, attempt }, of, () => 0));

describe('what happens after a failure', () => {
  it('gives up at once what trying again cannot help', () => {
    const step = afterFailure({ kind: 'permanent', code: 'value_null' }, first, policy, Math.random);
    assert.deepEqual(step, { kind: 'dead-letter', errorCode: 'value_null' });
  });

  it('climbs the ladder, then gives up', () => {
    assert.deepEqual(steps([1, 2, 3]), [
      { kind: 'retry', delayMs: 10, errorCode: 'handler_failed' },
      { kind: 'retry', delayMs: 20, errorCode: 'handler_failed' },
      { kind: 'dead-letter', errorCode: 'handler_failed' },
    ]);
  });

  it('never tries again before the delay is over, nor more than the jitter after it', () => {
    const jittered = { ...policy, jitterMs: 500 };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempt, random) => {
          const step = afterFailure(unknown, { ...first, attempt }, jittered, () => random);
          assert.ok(step.kind === 'retry');
          const delayMs = [10, 20][attempt - 1] ?? 0;
          assert.ok(step.delayMs >= delayMs && step.delayMs <= delayMs + 500);
        },
      ),
    );
  });

  it('lets the partition wait, whatever the attempt, while something is away', () => {
    for (const pauses of [0, 1, 5, 50]) {
      const step = afterFailure({ kind: 'unavailable' }, { ...first, attempt: 99, pauses }, policy, () => 0);
      assert.deepEqual(step, { kind: 'pause', delayMs: Math.min(250 * 2 ** pauses, 4_000) });
    }
  });

  it('tries again in place, a few times, what met another transaction', () => {
    const conflict = { kind: 'conflict', code: 'handler_failed' } as const;
    const kinds = [0, 1, 4, 5].map(
      (conflicts) => afterFailure(conflict, { ...first, conflicts }, policy, () => 0).kind,
    );
    assert.deepEqual(kinds, ['again', 'again', 'again', 'retry']);
  });

  it('gives nothing up where nobody stands behind', () => {
    const stubborn: RetryPolicy = { ...policy, whenExhausted: 'keep-trying' };
    for (const step of steps([1, 2, 30, 3_000], stubborn)) assert.equal(step.kind, 'again');
    const permanent = afterFailure({ kind: 'permanent', code: 'x' }, first, stubborn, () => 0);
    assert.equal(permanent.kind, 'again');
  });

  it('takes the route of an error before the general rule', () => {
    const routes = { refused: 'retry', UnavailableError: 'dead-letter', TypeError: 'unavailable' } as const;
    assert.deepEqual(routed(new PermanentError('refused', 'no'), routes), {
      kind: 'unknown',
      code: 'refused',
    });
    assert.deepEqual(routed(new UnavailableError('away'), routes), {
      kind: 'permanent',
      code: 'unavailable',
    });
    assert.deepEqual(routed(new TypeError('no'), routes), { kind: 'unavailable' });
    assert.deepEqual(routed(new RangeError('no'), routes), unknown);
  });
});
