/** What happens to a record whose handling failed. The one place that decides it. */
import { type Failure, failureOf } from './errors.ts';

export type NextStep =
  /** Give it up: `<group>.dlq`. */
  | { kind: 'dead-letter'; errorCode: string }
  /** The same attempt again after a while; until then the whole partition waits. */
  | { kind: 'pause'; delayMs: number }
  /** Again after a while, in its lane, which waits. */
  | { kind: 'again'; delayMs: number }
  /** The next attempt, after a while, aside: only the records of its key wait, where order is kept. */
  | { kind: 'retry'; delayMs: number; errorCode: string };

/** What becomes of an error, by its code or the name of its class. */
export type Routes = Readonly<Record<string, 'dead-letter' | 'retry' | 'unavailable'>>;

export type RetryPolicy = {
  /** Waits before the second attempt, the third, and so on; after the last it is a dead letter. */
  delaysMs: readonly number[];
  /** At most this is added to each delay, so that what failed together is not tried again together. */
  jitterMs: number;
  /** keep-trying: nothing is put aside; whatever fails is tried again in its lane until it succeeds. */
  whenExhausted: 'dead-letter' | 'keep-trying';
  routes: Routes;
};

/** How often something has happened before, each from 0 unless it says otherwise. */
export type History = {
  /** How often the record was tried, this attempt included. */
  attempt: number;
  conflicts: number;
  /** How often in a row the partition has waited for what is away. */
  pauses: number;
};

export const defaultPolicy: RetryPolicy = {
  delaysMs: [60_000, 120_000, 240_000, 3_600_000],
  jitterMs: 500,
  whenExhausted: 'dead-letter',
  routes: {},
};

const conflictsMax = 5;
const firstConflictMs = 20;
const firstPauseMs = 250;
// Not longer: so much later than its return may a dependency be noticed.
const pauseMsMax = 4_000;
const firstAgainMs = 320;
const againMsMax = 5_160;

/**
 * Decides the next step.
 *
 * @param random 0 ≤ random() < 1; up to a fifth of a wait in place is taken off, so that instances do not beat in time
 */
export function afterFailure(
  failure: Failure,
  { attempt, conflicts, pauses }: History,
  policy: RetryPolicy,
  random: () => number,
): NextStep {
  const growing = (firstMs: number, count: number, maxMs: number) =>
    Math.round(Math.min(firstMs * 2 ** Math.min(count, 10), maxMs) * (1 - 0.2 * random()));
  if (failure.kind === 'unavailable')
    return { kind: 'pause', delayMs: growing(firstPauseMs, pauses, pauseMsMax) };
  if (failure.kind === 'conflict' && conflicts < conflictsMax)
    return { kind: 'again', delayMs: growing(firstConflictMs, conflicts, againMsMax) };
  if (policy.whenExhausted === 'keep-trying')
    return { kind: 'again', delayMs: growing(firstAgainMs, attempt - 1, againMsMax) };
  const delayMs = failure.kind === 'permanent' ? undefined : policy.delaysMs[attempt - 1];
  if (delayMs === undefined) return { kind: 'dead-letter', errorCode: failure.code };
  return {
    kind: 'retry',
    delayMs: Math.round(delayMs + policy.jitterMs * random()),
    errorCode: failure.code,
  };
}

/** What an error means to this consumer: its routes first, then the general rule. */
export function routed(error: unknown, routes: Routes): Failure {
  const failure = failureOf(error);
  const [name, code] = error instanceof Error ? [error.name, 'code' in error ? String(error.code) : ''] : [];
  const route = (code ? routes[code] : undefined) ?? (name ? routes[name] : undefined);
  if (route === undefined) return failure;
  if (route === 'unavailable') return { kind: 'unavailable' };
  const errorCode = failure.kind === 'unavailable' ? 'unavailable' : failure.code;
  return { kind: route === 'retry' ? 'unknown' : 'permanent', code: errorCode };
}
