/**
 * Tells one bad record from a bad release: when most of what a group tries fails, the fault is not in the records,
 * and giving them up would fill the dead letters with what will work once the handler is mended.
 *
 * Pure: time comes from outside.
 */

export type FloodLimits = {
  /** Shut when so much of all attempts failed, 0 to 1 … */
  share: number;
  /** … within so long a time … */
  windowMs: number;
  /** … of at least so many attempts. */
  least: number;
  /** While shut, one attempt each so often; the first that works opens it. */
  probeMs?: number;
};

export const usualFloodLimits: FloodLimits = { share: 0.5, windowMs: 10_000, least: 50 };

export type FloodGuard = {
  /** Whether an attempt may begin; while shut, the one that probes. */
  admits(): boolean;
  worked(count?: number): void;
  /** Gives whether the group is shut by now, so that this failure must not be booked. */
  failed(): boolean;
  isShut(): boolean;
};

// A slice's counts are forgotten together, so the window is as long as said to a tenth.
const slices = 10;

/** @param onChange called when it shuts and when it opens */
export function createFloodGuard(
  limits: FloodLimits,
  now: () => number,
  onChange: (isShut: boolean) => void,
): FloodGuard {
  const { share, windowMs, least, probeMs = 5_000 } = limits;
  const sliceMs = windowMs / slices;
  let counts: { slice: number; worked: number; failed: number }[] = [];
  let shut = false;
  let probeAt = 0;

  function current() {
    const slice = Math.floor(now() / sliceMs);
    const last = counts.at(-1);
    if (last?.slice === slice) return last;
    counts = counts.filter((it) => it.slice > slice - slices);
    const fresh = { slice, worked: 0, failed: 0 };
    counts.push(fresh);
    return fresh;
  }

  function set(isShut: boolean): void {
    shut = isShut;
    // What was counted before the change says nothing about what comes after it.
    counts = [];
    probeAt = now() + probeMs;
    onChange(isShut);
  }

  return {
    admits() {
      if (!shut) return true;
      if (now() < probeAt) return false;
      probeAt = now() + probeMs;
      return true;
    },
    worked(count = 1) {
      if (shut) set(false);
      current().worked += count;
    },
    failed() {
      if (shut) return true;
      current().failed += 1;
      const failed = counts.reduce((sum, it) => sum + it.failed, 0);
      const all = counts.reduce((sum, it) => sum + it.failed + it.worked, 0);
      if (all >= least && failed >= share * all) set(true);
      return shut;
    },
    isShut: () => shut,
  };
}
