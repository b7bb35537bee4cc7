import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { BreakerError, createBreaker } from './breaker.ts';
import { createMetrics } from './metrics.ts';

describe('a breaker', () => {
  it('opens when its dependency keeps failing, and then spares it', async () => {
    let calls = 0;
    const { breaker, metrics } = breakerAround(async () => {
      calls += 1;
      throw new Error('refused');
    });
    for (let attempt = 0; attempt < 5; attempt++) await assert.rejects(breaker.fire(), /refused/);
    await assert.rejects(
      breaker.fire(),
      (error) => error instanceof BreakerError && error.code === 'breaker_open',
    );
    assert.equal(calls, 5);
    assert.equal(breaker.state(), 'open');
    const text = await metrics.text();
    assert.match(text, /ragline_breaker_state\{dependency="maps",service="test"\} 2/);
    // The call that was spared took no time of the dependency's.
    assert.match(text, /ragline_breaker_call_seconds_count\{[^}]*outcome="failure"[^}]*\} 5\n/);
    breaker.stop();
  });

  it('closes again when a later call succeeds', async () => {
    let isAway = true;
    const { breaker } = breakerAround(
      async () => {
        if (isAway) throw new Error('refused');
        return 'fine';
      },
      { openMs: 1 },
    );
    for (let attempt = 0; attempt < 5; attempt++) await assert.rejects(breaker.fire());
    isAway = false;
    // Open for a millisecond: the timer of the breaker itself is what is waited for.
    while (breaker.state() === 'open') await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(await breaker.fire(), 'fine');
    assert.equal(breaker.state(), 'closed');
    breaker.stop();
  });

  it('gives up on a call that takes too long', async () => {
    const { breaker } = breakerAround(() => new Promise<never>(() => {}), { timeoutMs: 10 });
    await assert.rejects(
      breaker.fire(),
      (error) => error instanceof BreakerError && error.code === 'breaker_timeout',
    );
    breaker.stop();
  });

  it('does not count against its dependency what is harmless', async () => {
    const { breaker } = breakerAround(async () => Promise.reject(new Error('no such thing')), {
      isHarmless: () => true,
    });
    for (let attempt = 0; attempt < 10; attempt++) await assert.rejects(breaker.fire(), /no such thing/);
    assert.equal(breaker.state(), 'closed');
    breaker.stop();
  });
});

type Around = { timeoutMs?: number; openMs?: number; isHarmless?: (error: unknown) => boolean };

function breakerAround<T>(call: () => Promise<T>, options: Around = {}) {
  const metrics = createMetrics({ service: 'test' });
  return { metrics, breaker: createBreaker({ name: 'maps', call, timeoutMs: 1_000, metrics, ...options }) };
}
