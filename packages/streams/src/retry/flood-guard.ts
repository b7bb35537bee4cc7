/**
 * Tells bad records from a bad release: when most of what a group tries fails, and not one tenant's alone, the fault
 * is not in the records, and giving them up would fill the dead letters with what will work once the handler is mended.
 *
 * Pure: time comes from outside.
 */

export type FloodLimits = {
  /** Shut when so much of all attempts failed, 0 to 1, also without the tenant that failed most … */
  share: number;
  /** … within so long a time … */
  windowMs: number;
  /** … of at least so many attempts, and a fifth of that without that tenant. */
  least: number;
  /** While shut, one attempt each so often; the first that works opens it. */
  probeMs?: number;
};

export const usualFloodLimits: FloodLimits = { share: 0.5, windowMs: 10_000, least: 50 };

export type FloodGuard = {
  /** While shut: whether this place may try one record now. Those who ask get their turns one after another. */
  probes(place: string): boolean;
  /** Attempts that worked while it was open. */
  worked(count?: number): void;
  /** An attempt that failed while it was open. Gives whether the group is shut by it, so that it must not be booked. */
  failed(tenant: string): boolean;
  /** A probe worked. */
  open(): void;
  isShut(): boolean;
};

type Counts = { slice: number; worked: number; failed: number; failedOf: Map<string, number> };

// A slice's counts are forgotten together, so the window is as long as said to a tenth.
const slices = 10;
const usualProbeMs = 5_000;

/** @param onChange called when it shuts and when it opens */
export function createFloodGuard(
  limits: FloodLimits,
  now: () => number,
  onChange: (isShut: boolean) => void,
): FloodGuard {
  const { share, windowMs, least, probeMs = usualProbeMs } = limits;
  const sliceMs = windowMs / slices;
  let counts: Counts[] = [];
  let shut = false;
  let probeAt = 0;
  // When each place was last refused, and when it last had its turn.
  const refusedAt = new Map<string, number>();
  const probedAt = new Map<string, number>();

  function current(): Counts {
    const slice = Math.floor(now() / sliceMs);
    const last = counts.at(-1);
    if (last?.slice === slice) return last;
    counts = counts.filter((it) => it.slice > slice - slices);
    const fresh = { slice, worked: 0, failed: 0, failedOf: new Map<string, number>() };
    counts.push(fresh);
    return fresh;
  }

  function set(isShut: boolean): void {
    shut = isShut;
    // What was counted before the change says nothing about what comes after it.
    counts = [];
    probeAt = now() + probeMs;
    refusedAt.clear();
    probedAt.clear();
    onChange(isShut);
  }

  function isFlood(): boolean {
    const failed = counts.reduce((sum, it) => sum + it.failed, 0);
    const all = counts.reduce((sum, it) => sum + it.failed + it.worked, 0);
    if (all < least || failed < share * all) return false;
    // One tenant must not be able to stop all others.
    const most = mostOfOne();
    return all - most >= least / 5 && failed - most >= share * (all - most);
  }

  function mostOfOne(): number {
    const sums = new Map<string, number>();
    for (const { failedOf } of counts)
      for (const [tenant, count] of failedOf) sums.set(tenant, (sums.get(tenant) ?? 0) + count);
    return Math.max(0, ...sums.values());
  }

  /** Whether another place waits that has had no turn, or an earlier one. */
  function isBeforeAnother(place: string): boolean {
    const own = probedAt.get(place);
    if (own === undefined) return false;
    // One that has not asked for long has nothing to try any more.
    for (const [other, at] of refusedAt)
      if (other !== place && at > now() - probeMs && (probedAt.get(other) ?? 0) < own) return true;
    return false;
  }

  return {
    probes(place) {
      const isEarly = now() < probeAt || (now() < probeAt + probeMs && isBeforeAnother(place));
      if (isEarly) {
        refusedAt.set(place, now());
        return false;
      }
      probeAt = now() + probeMs;
      probedAt.set(place, now());
      return true;
    },
    worked(count = 1) {
      if (!shut) current().worked += count;
    },
    failed(tenant) {
      if (shut) return true;
      const { failedOf } = current();
      current().failed += 1;
      failedOf.set(tenant, (failedOf.get(tenant) ?? 0) + 1);
      if (isFlood()) set(true);
      return shut;
    },
    open() {
      if (shut) set(false);
    },
    isShut: () => shut,
  };
}
