/** Ends a process whose event loop stands still: nothing inside it could, and nobody outside would see that it is not busy. */
import { Worker } from 'node:worker_threads';

export type StuckOptions = {
  /** How long the loop may stand still; 10 s. */
  afterMs?: number;
};

// A little more than a consumer group waits for a member (8 s): its records are another's by then, and one that goes on
// would be thrown out, come back and end in the same record again, without ever being counted.
const usualAfterMs = 10_000;

/** What the watching thread is given; the numbers are those of `beats`. */
export type Watched = { beats: SharedArrayBuffer; afterMs: number; everyMs: number };

const looksAWait = 10;

/**
 * Watches from a thread of its own, and ends the process by SIGKILL: its supervisor starts it again, and a consumer
 * group counts it as a crash. A process that was stopped and woken (SIGSTOP, a frozen machine) is not blamed.
 */
export function endWhenStuck({ afterMs = usualAfterMs }: StuckOptions = {}): { stop(): void } {
  const beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const counter = new Int32Array(beats);
  const everyMs = Math.max(1, Math.floor(afterMs / looksAWait));
  const timer = setInterval(() => Atomics.add(counter, 0, 1), Math.max(1, Math.floor(everyMs / 2)));
  const watched: Watched = { beats, afterMs, everyMs };
  const worker = new Worker(new URL('./stuck-watch.ts', import.meta.url), {
    workerData: watched,
    // What the process is started with (a debugger, a preload) is not for this thread.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  // A process may end while it is watched; and one that cannot be watched works all the same.
  worker.unref();
  worker.on('error', () => clearInterval(timer));
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      void worker.terminate();
    },
  };
}
