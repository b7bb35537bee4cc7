/** The thread of stuck.ts: counts how often it has looked and found the event loop where it was. */
import { workerData } from 'node:worker_threads';
import type { Watched } from './stuck.ts';

const { beats, afterMs, everyMs }: Watched = workerData;
const counter = new Int32Array(beats);
const own = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

let last = -1;
let stillFor = 0;
for (;;) {
  // A wait that nobody ends: this thread has nothing else to do. Its own looks are counted, not the clock, which
  // runs on while the whole process is stopped.
  Atomics.wait(own, 0, 0, everyMs);
  const now = Atomics.load(counter, 0);
  stillFor = now === last ? stillFor + 1 : 0;
  last = now;
  if (stillFor * everyMs >= afterMs) {
    process.stderr.write(`The event loop stood still for ${afterMs} ms: the process ends\n`);
    process.kill(process.pid, 'SIGKILL');
  }
}
