/** Bounded work: so many at once, so many waiting, and beyond that a clear no. */
import type { Metrics } from '@ragline/runtime/metrics';
import { problem } from '@ragline/web/problems';

export type Turns = { run<T>(work: () => Promise<T>): Promise<T> };

/**
 * Hashing a password takes a core for tens of milliseconds and 19 MiB. Node's thread pool is shared with the
 * signing of tokens and with DNS, so it must never be full of hashes.
 *
 * Throws Problem `unavailable` when `waitingMax` callers wait already.
 */
export function createTurns({
  atOnce,
  waitingMax,
  metrics,
}: {
  atOnce: number;
  waitingMax: number;
  metrics?: Metrics;
}): Turns {
  const waiting: (() => void)[] = [];
  let running = 0;
  const queued = metrics?.gauge(
    'ragline_password_hashes_waiting',
    'Password checks that wait for their turn.',
  );

  const taken = async (): Promise<void> => {
    if (running < atOnce) {
      running += 1;
      return;
    }
    if (waiting.length >= waitingMax) {
      throw problem('unavailable', 'Too many sign-ins at the moment.', { headers: { 'retry-after': '2' } });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    queued?.set(waiting.length);
    await promise;
  };

  // A turn goes straight to the next in line: `running` stays, so nobody can step in between.
  const pass = (): void => {
    const next = waiting.shift();
    queued?.set(waiting.length);
    if (next === undefined) running -= 1;
    else next();
  };

  return {
    async run(work) {
      await taken();
      try {
        return await work();
      } finally {
        pass();
      }
    },
  };
}
