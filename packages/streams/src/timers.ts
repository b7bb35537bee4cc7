/** Timers of one owner, which end together. */
import type { Clock } from './clock.ts';

export function createTimers(clock: Clock) {
  const timers = new Set<{ cancel(): void }>();
  let hasEnded = false;

  return {
    after(delayMs: number, then: () => void): void {
      if (hasEnded) return;
      const timer = clock.after(delayMs, () => {
        timers.delete(timer);
        if (!hasEnded) then();
      });
      timers.add(timer);
    },
    /** None fires any more. */
    end(): void {
      hasEnded = true;
      for (const timer of timers) timer.cancel();
      timers.clear();
    },
  };
}
