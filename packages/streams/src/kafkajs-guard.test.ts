import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'mocha';
import { guardedVersion } from './kafkajs-guard.ts';

const require = createRequire(import.meta.url);

describe('the guard of kafkajs', () => {
  it('is for the version that is installed', () => {
    assert.equal(require('kafkajs/package.json').version, guardedVersion);
  });

  it('arms no timer while nothing is pending', () => {
    const queue = aRequestQueue();
    queue.scheduleCheckPendingRequests();
    assert.equal(queue.throttleCheckTimeoutId, null);
  });

  it('sends what had to wait, and then arms no timer any more', async () => {
    const queue = aRequestQueue();
    const sent: number[] = [];
    queue.maybeThrottle(20);
    const { promise: bothSent, resolve } = Promise.withResolvers<void>();
    for (const correlationId of [1, 2]) {
      queue.push({
        entry: { correlationId, resolve() {}, reject() {} },
        expectResponse: false,
        sendRequest: () => {
          sent.push(correlationId);
          if (sent.length === 2) resolve();
        },
      });
    }
    assert.deepEqual(sent, []);
    await bothSent;
    await new Promise((done) => setImmediate(done));
    assert.deepEqual([sent, queue.pending.length, queue.throttleCheckTimeoutId], [[1, 2], 0, null]);
  });
});

function aRequestQueue() {
  const RequestQueue = require('kafkajs/src/network/requestQueue');
  const logger = { debug() {}, warn() {} };
  return new RequestQueue({
    maxInFlightRequests: null,
    requestTimeout: 1_000,
    enforceRequestTimeout: false,
    clientId: 'test',
    broker: 'none',
    logger,
  });
}
