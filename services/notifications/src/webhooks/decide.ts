/** What follows from a try: for the delivery, and for its endpoint. Pure. */
import type { PostError, PostResult } from './post.ts';

/** How a try went, as it is kept, shown and counted. */
export type Outcome =
  | { kind: 'delivered' }
  /** 410: the receiver wants nothing any more. */
  | { kind: 'gone' }
  | { kind: 'failed'; error_code: ErrorCode; retryAfterMs: number | undefined };

type ErrorCode = PostError | 'secret_unreadable' | 'redirected' | 'status';

/** What came of a try; with no secret that can be read, nothing is posted. */
export type TryResult = PostResult | { kind: 'failed'; error_code: 'secret_unreadable' };

export type DisabledReason = 'gone' | 'failing' | 'exhausted';

/** An endpoint's breaker; times in ms since 1970. */
export type Health = {
  /** Tries that failed since the last one that did not, without those that end while nothing is sent. */
  failures: number;
  failingSince: number | undefined;
  /** Deliveries given up in a row. */
  exhausted: number;
  openUntil: number | undefined;
};

export type Rules = {
  /** Waits before the second try, the third, and so on; after the last one a delivery is given up. */
  delaysMs: readonly number[];
  disableAfterMs: number;
  disableAfterExhausted: number;
};

export type NextStep = { state: 'delivered' } | { state: 'failed' } | { state: 'waiting'; delayMs: number };

/** From so many failures in a row on, one try at a time. Also what a claim counts by. */
export const openAfter = 5;
const pauseMs = 15_000;
const pauseMaxMs = 300_000;
const retryAfterMaxMs = 3_600_000;
/** Of the wait; what failed together need not come back together. */
const jitter = 0.2;

export function outcomeOf(result: TryResult, now: number): Outcome {
  if (result.kind === 'failed')
    return { kind: 'failed', error_code: result.error_code, retryAfterMs: undefined };
  const { status, retryAfter } = result;
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  if (status === 410) return { kind: 'gone' };
  if (status >= 300 && status < 400)
    return { kind: 'failed', error_code: 'redirected', retryAfterMs: undefined };
  const asks = status === 429 || status === 503;
  return {
    kind: 'failed',
    error_code: 'status',
    retryAfterMs: asks ? retryAfterMsOf(retryAfter, now) : undefined,
  };
}

/** Seconds or a date (RFC 9110); undefined for anything else, and an hour at most: longer is as good as never. */
export function retryAfterMsOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), retryAfterMaxMs);
}

/** @param tries since it was last asked for, this one included */
export function nextStep(outcome: Outcome, tries: number, rules: Rules, random: () => number): NextStep {
  if (outcome.kind === 'delivered') return { state: 'delivered' };
  if (outcome.kind === 'gone') return { state: 'failed' };
  const delayMs = rules.delaysMs[tries - 1];
  if (delayMs === undefined) return { state: 'failed' };
  const spread = delayMs * (1 + jitter * random());
  return { state: 'waiting', delayMs: Math.max(spread, outcome.retryAfterMs ?? 0) };
}

export const healthy: Health = { failures: 0, failingSince: undefined, exhausted: 0, openUntil: undefined };

/** The endpoint after a try; `disabled` says why nothing more shall be sent to it. */
export function nextHealth(
  before: Health,
  outcome: Outcome,
  step: NextStep,
  now: number,
  { disableAfterMs, disableAfterExhausted }: Rules,
): { health: Health; disabled: DisabledReason | undefined } {
  if (outcome.kind === 'delivered') return { health: healthy, disabled: undefined };
  // What was under way when it opened had no part in the pause: it is no failed probe.
  const isOpen = before.failures >= openAfter && (before.openUntil ?? 0) > now;
  const failures = isOpen ? before.failures : before.failures + 1;
  const failingSince = before.failingSince ?? now;
  const exhausted = before.exhausted + (step.state === 'failed' ? 1 : 0);
  const asked = outcome.kind === 'failed' ? outcome.retryAfterMs : undefined;
  const pause = Math.max(isOpen ? 0 : pauseAfter(failures), asked ?? 0);
  const openUntil = pause === 0 ? before.openUntil : Math.max(before.openUntil ?? 0, now + pause);
  const health = { failures, failingSince, exhausted, openUntil };
  if (outcome.kind === 'gone') return { health, disabled: 'gone' };
  if (now - failingSince >= disableAfterMs) return { health, disabled: 'failing' };
  if (exhausted >= disableAfterExhausted) return { health, disabled: 'exhausted' };
  return { health, disabled: undefined };
}

/** 0 while it is closed; then 15 s, doubled with each failed probe, up to 5 min. */
function pauseAfter(failures: number): number {
  return failures < openAfter ? 0 : Math.min(pauseMs * 2 ** (failures - openAfter), pauseMaxMs);
}
