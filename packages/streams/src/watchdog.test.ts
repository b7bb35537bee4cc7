import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createWatchdog } from './watchdog.ts';

describe('the stall watchdog', () => {
  const scene = () => {
    const clock = { ms: 0 };
    const stalls: number[] = [];
    const onStall = (silentMs: number) => void stalls.push(silentMs);
    const watchdog = createWatchdog({ stallMs: 45_000, onStall, now: () => clock.ms });
    const pass = (ms: number) => {
      for (let left = ms; left > 0; left -= 5_000) {
        clock.ms += Math.min(5_000, left);
        watchdog.check();
      }
    };
    return { clock, stalls, watchdog, pass };
  };

  it('says nothing while there are signs', () => {
    const { stalls, watchdog, pass } = scene();
    for (let i = 0; i < 20; i += 1) {
      pass(40_000);
      watchdog.sign();
    }
    assert.deepEqual(stalls, []);
  });

  it('speaks once for each stretch of silence', () => {
    const { stalls, pass } = scene();
    pass(80_000);
    assert.equal(stalls.length, 1);
    pass(20_000);
    assert.equal(stalls.length, 2);
  });

  it('does not blame the consumer for a process that stood still', () => {
    const { clock, stalls, watchdog, pass } = scene();
    clock.ms += 60_000;
    watchdog.check();
    assert.deepEqual(stalls, []);
    pass(50_000);
    assert.equal(stalls.length, 1);
  });
});
