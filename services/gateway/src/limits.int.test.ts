import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { afterEach, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { stack } from '../../../tests/support/stack.ts';
import { startRateLimits } from './limits.ts';

const log = createLogger({ service: 'gateway', level: 'error' });
const stops: (() => unknown)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function limits(redisUrl: string | undefined, address = 5) {
  const made = await startRateLimits({ enabled: true, redisUrl, address, tenant: 1_000, log });
  stops.push(made.stop);
  return made;
}

describe('rate limits', () => {
  it('are shared by two gateways through Redis', async () => {
    const { redisUrl } = stack();
    const [one, two] = [await limits(redisUrl, 50), await limits(redisUrl, 50)];
    await eventually(() => one.ready() && two.ready());
    const address = randomUUID();
    let passed = 0;
    // Turn by turn; each alone would let fifty pass.
    for (let i = 0; i < 100; i++) {
      if ((await (i % 2 ? one : two).excess(address, undefined)) === undefined) passed += 1;
    }
    assert.equal(passed, 50);
  });

  it('count in the process while Redis is away, and let others pass', async () => {
    const away = await limits('redis://127.0.0.1:9');
    const address = randomUUID();
    const waits = [];
    for (let i = 0; i < 6; i++) waits.push(await away.excess(address, undefined));
    assert.deepEqual(waits.slice(0, 5), Array(5).fill(undefined));
    assert.ok((waits[5] ?? 0) >= 1);
    assert.equal(await away.excess(randomUUID(), undefined), undefined);
  });
});
