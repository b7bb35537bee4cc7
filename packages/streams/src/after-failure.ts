/** What happens to a record whose handling failed. The one place that decides it. */
import type { Failure } from './errors.ts';

export type NextStep =
  /** Give it up: `<group>.dlq`. */
  | { kind: 'dead-letter'; errorCode: string }
  /** The same attempt again after a while; until then the whole partition waits. */
  | { kind: 'pause'; delayMs: number }
  /** The next attempt, after a while; only the record's own lane waits. */
  | { kind: 'retry'; delayMs: number };

/** Waits before the second to the sixth attempt: ten seconds in all, less the jitter. */
export const retryDelaysMs: readonly number[] = [320, 645, 1_290, 2_580, 5_160];
const firstPauseMs = 250;
// Not longer: so much later than its return may a dependency be noticed.
const pauseMsMax = 4_000;

/**
 * Decides the next step.
 *
 * @param attempt how often the record was tried, from 1
 * @param pauses how often in a row the partition has already waited for what is away, from 0
 * @param random 0 ≤ random() < 1; up to a fifth of each delay is taken off, so that instances do not beat in time
 */
export function afterFailure(
  failure: Failure,
  attempt: number,
  pauses: number,
  random: () => number,
): NextStep {
  const jittered = (delayMs: number) => Math.round(delayMs * (1 - 0.2 * random()));
  switch (failure.kind) {
    case 'permanent':
      return { kind: 'dead-letter', errorCode: failure.code };
    case 'unavailable':
      return {
        kind: 'pause',
        delayMs: jittered(Math.min(firstPauseMs * 2 ** Math.min(pauses, 10), pauseMsMax)),
      };
    case 'unknown': {
      const delayMs = retryDelaysMs[attempt - 1];
      if (delayMs === undefined) return { kind: 'dead-letter', errorCode: failure.code };
      return { kind: 'retry', delayMs: jittered(delayMs) };
    }
  }
}
