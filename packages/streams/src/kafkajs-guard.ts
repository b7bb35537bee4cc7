/**
 * Mends one fault of kafkajs 2.2.4 (its issue 1751), once, when this file is first imported.
 *
 * Its request queue re-arms a timer with a negative delay for as long as a connection lives: some 1,800 timers a
 * second and 3 % of a core on an idle consumer. Only something pending needs to be looked at again.
 */
import { createRequire } from 'node:module';

type RequestQueue = {
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  throttledUntil: number;
  pending: unknown[];
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
};

/** The version whose inside is known here. */
export const guardedVersion = '2.2.4';

const require = createRequire(import.meta.url);
const { version } = require('kafkajs/package.json');
if (version !== guardedVersion) {
  throw new Error(`kafkajs ${version} is installed; its guard was written for ${guardedVersion}`);
}
const { prototype } = require('kafkajs/src/network/requestQueue');
if (typeof prototype.scheduleCheckPendingRequests !== 'function') {
  throw new Error('kafkajs has no RequestQueue.scheduleCheckPendingRequests any more');
}

prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
  const waitMs = this.throttledUntil - Date.now();
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    },
    waitMs > 0 ? waitMs : 10,
  );
};
