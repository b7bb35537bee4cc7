/** What a batch does next: pure, so that throttle, ramp and stop are tables of cases. */

export type BatchSettings = {
  /** Letters a second; null: as fast as outcomes come. */
  rate_per_s: number | null;
  /** Sizes of the first steps; each waits for the outcomes of the one before. The rest follows the last. */
  ramp: readonly number[];
  /** Sent and without an outcome, at most. */
  in_flight: number;
  /** Stops at this many failures since the start or the last resume; null: never. */
  stop_on_failures: number | null;
};

export type BatchCounts = {
  /** Not sent yet. */
  pending: number;
  /** Of these, behind another record of their line when last tried. */
  behind: number;
  in_flight: number;
  resolved: number;
  failed: number;
  /** Failures before the last resume, which count no more. */
  forgiven: number;
};

export type BatchStep =
  | { kind: 'send'; atMost: number }
  | { kind: 'wait' }
  | { kind: 'stop'; reason: string }
  /** What is left cannot be sent: heads of their lines are not in the batch. */
  | { kind: 'give-up-behind' }
  | { kind: 'done' };

/** Letters in one transaction: enough for thousands a second, few enough to hold no lock for long. */
export const chunkMax = 1_000;

/** @param allowance how many the rate allows at this moment, from `allowanceAfter` */
export function nextStep(settings: BatchSettings, counts: BatchCounts, allowance: number): BatchStep {
  const { pending, behind, in_flight: inFlight } = counts;
  const failures = counts.failed - counts.forgiven;
  if (settings.stop_on_failures !== null && failures >= settings.stop_on_failures && pending > 0)
    return { kind: 'stop', reason: `${failures} failed` };
  if (pending === 0) return inFlight === 0 ? { kind: 'done' } : { kind: 'wait' };
  if (pending === behind && inFlight === 0) return { kind: 'give-up-behind' };
  const atMost = Math.min(
    chunkMax,
    pending,
    settings.in_flight - inFlight,
    rampRoom(settings.ramp, counts),
    Math.floor(allowance),
  );
  return atMost > 0 ? { kind: 'send', atMost } : { kind: 'wait' };
}

/** How many more the present step of the ramp takes. */
function rampRoom(
  ramp: readonly number[],
  { in_flight, resolved, failed }: Pick<BatchCounts, 'in_flight' | 'resolved' | 'failed'>,
): number {
  const sent = in_flight + resolved + failed;
  let end = 0;
  for (const size of ramp) {
    end += size;
    if (sent < end || (sent === end && in_flight > 0)) return end - sent;
  }
  return Number.POSITIVE_INFINITY;
}

/** What a rate has given by now: at most a quarter of a second's worth is saved up, and always room for one. */
export function allowanceAfter(before: number, elapsedMs: number, ratePerS: number | null): number {
  if (ratePerS === null) return Number.POSITIVE_INFINITY;
  return Math.min(before + (elapsedMs / 1000) * ratePerS, Math.max(1, ratePerS / 4));
}

/** How long until the rate allows one more. */
export function rateWaitMs(allowance: number, ratePerS: number | null): number {
  return ratePerS === null ? 0 : Math.max(0, ((1 - allowance) / ratePerS) * 1_000);
}
