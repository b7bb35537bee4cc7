/** What is booked on a record that failed: pure, from the failure and what is known of the record. */
import { afterFailure, type NextStep, type RetryPolicy, routed } from '../after-failure.ts';
import { partsOf, timeOf } from '../dead-letter.ts';
import type { Head, ParkedError, Verdict } from './store.ts';

export type DeadHead = 'wait' | 'skip';

export type Circumstances = {
  policy: RetryPolicy;
  deadHead: DeadHead;
  /** Conflicts with other transactions in a row. */
  conflicts: number;
  /** Milliseconds. */
  now: number;
  random: () => number;
};

// As often as the partition would have waited by then: a few seconds.
const pausesInLine = 10;

/** After a failed attempt in the driver. A head that was dead before had one attempt, without the ladder. */
export function afterRetry(error: unknown, head: Head, around: Circumstances): Verdict {
  const { policy, deadHead, conflicts, now, random } = around;
  const failure = routed(error, policy.routes);
  const history = { attempt: head.attempt + 1, conflicts, pauses: pausesInLine };
  const ladder = head.deaths > 0 ? { ...policy, delaysMs: [] } : policy;
  const step = afterFailure(failure, history, ladder, random);
  if (step.kind === 'pause' || step.kind === 'again') return { kind: 'again', delayMs: step.delayMs };
  const parked = parkedError(error, step, { attempt: head.attempt + 1, notBefore: head.notBefore, now });
  if (step.kind === 'retry') return { kind: 'retry', delayMs: step.delayMs, error: parked };
  return { kind: 'dead', skip: deadHead === 'skip', error: parked };
}

/** After the first attempt, in a lane. */
export function afterFirst(
  step: Extract<NextStep, { kind: 'retry' | 'dead-letter' }>,
  error: unknown,
  {
    attempt,
    notBefore,
    now,
    deadHead,
  }: { attempt: number; notBefore: number; now: number; deadHead: DeadHead },
): Verdict {
  const parked = parkedError(error, step, { attempt, notBefore, now });
  if (step.kind === 'retry') return { kind: 'retry', delayMs: step.delayMs, error: parked };
  return { kind: 'dead', skip: deadHead === 'skip', error: parked };
}

function parkedError(
  error: unknown,
  { errorCode }: { errorCode: string },
  { attempt, notBefore, now }: { attempt: number; notBefore: number; now: number },
): ParkedError {
  const { name, message, stack } = partsOf(error);
  const last = { attempt, not_before: timeOf(notBefore), failed_at: timeOf(now) };
  return { code: errorCode, class: name, message, stack, ...last };
}
