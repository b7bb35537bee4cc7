import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createFloodGuard } from './flood-guard.ts';

describe('the flood guard', () => {
  it('shuts when most of enough attempts fail, and says so once', () => {
    const { guard, changes, fail } = aGuard();
    for (let i = 0; i < 4; i += 1) guard.worked();
    for (let i = 0; i < 5; i += 1) assert.equal(fail(), false, 'too few to tell');
    assert.equal(fail(), true);
    assert.equal(fail(), true);
    assert.deepEqual(changes, [true]);
  });

  it('stays open while less than its share fails', () => {
    const { guard, fail } = aGuard();
    for (let i = 0; i < 1_000; i += 1) {
      guard.worked(2);
      assert.equal(fail(), false);
    }
  });

  it('is not shut by one tenant, whatever that one sends', () => {
    const { guard, changes } = aGuard();
    for (let i = 0; i < 500; i += 1) assert.equal(guard.failed('noisy'), false);
    guard.worked(2);
    assert.equal(guard.failed('another'), false);
    for (let i = 0; i < 500; i += 1) assert.equal(guard.failed('noisy'), false);
    assert.deepEqual(changes, []);
  });

  it('forgets what is older than its window', () => {
    const { fail, time } = aGuard();
    for (let i = 0; i < 9; i += 1) fail();
    time.now += 1_001;
    assert.equal(fail(), false);
  });

  it('lets one attempt probe now and then while shut, and opens when that works', () => {
    const { guard, time, changes, fail } = aGuard();
    for (let i = 0; i < 10; i += 1) fail();
    assert.equal(guard.probes('a'), false);
    time.now += 200;
    assert.deepEqual([guard.probes('a'), guard.probes('a')], [true, false]);
    // What had begun before it was shut says nothing of what is tried now.
    guard.worked();
    fail();
    assert.equal(guard.isShut(), true);
    guard.open();
    assert.deepEqual([guard.isShut(), changes], [false, [true, false]]);
    // It starts to count anew: what failed before it opened does not shut it again.
    assert.equal(fail(), false);
  });

  it('lets each place that waits probe in its turn', () => {
    const { guard, time, fail } = aGuard();
    for (let i = 0; i < 10; i += 1) fail();
    const turns: string[] = [];
    for (let i = 0; i < 9; i += 1) {
      time.now += 100;
      for (const place of ['first', 'second', 'third']) if (guard.probes(place)) turns.push(place);
    }
    assert.deepEqual(turns, ['first', 'second', 'third', 'first']);
    // Alone, a place waits for nobody.
    time.now += 1_000;
    assert.equal(guard.probes('first'), true);
  });
});

function aGuard() {
  const time = { now: 1_000_000 };
  const changes: boolean[] = [];
  const limits = { share: 0.5, windowMs: 1_000, least: 10, probeMs: 200 };
  const guard = createFloodGuard(
    limits,
    () => time.now,
    (isShut) => changes.push(isShut),
  );
  let failures = 0;
  /** Of many tenants. */
  const fail = () => {
    failures += 1;
    return guard.failed(`tenant-${failures % 5}`);
  };
  return { guard, time, changes, fail };
}
