/** Waiting for something that takes its time, with a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again until `ask` answers without an error. Throws the last error when the time is over, and the
 * signal's reason as soon as it is aborted.
 */
export async function waitUntil(
  ask: () => Promise<void>,
  { withinMs, everyMs = 100, signal }: { withinMs: number; everyMs?: number; signal?: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      signal?.throwIfAborted();
      if (performance.now() > deadline) throw error;
    }
    await sleep(everyMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}
