import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createHealth } from './health.ts';

describe('readiness', () => {
  it('is given when every check passes', async () => {
    const health = createHealth();
    health.check('postgres', () => {});
    health.check('kafka', async () => {});
    assert.deepEqual(await health.ready(), { status: 'ready', checks: { postgres: 'ok', kafka: 'ok' } });
  });

  it('says what is wrong, and with what', async () => {
    const health = createHealth();
    health.check('postgres', () => {});
    health.check('kafka', () => Promise.reject(new Error('no broker')));
    assert.deepEqual(await health.ready(), {
      status: 'not_ready',
      checks: { postgres: 'ok', kafka: 'no broker' },
    });
  });

  it('is answered in time although a check hangs', async () => {
    const health = createHealth({ checkWithinMs: 20 });
    health.check('kafka', () => new Promise<void>(() => {}));
    assert.deepEqual((await health.ready()).checks, { kafka: 'no answer within 20 ms' });
  });

  it('ends when the service begins to stop', async () => {
    const health = createHealth();
    assert.equal((await health.ready()).status, 'ready');
    health.stopping();
    assert.equal((await health.ready()).status, 'not_ready');
  });
});
