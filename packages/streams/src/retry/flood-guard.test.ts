import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createFloodGuard } from './flood-guard.ts';

describe('the flood guard', () => {
  it('shuts when most of enough attempts fail, and says so once', () => {
    const { guard, changes } = aGuard();
    for (let i = 0; i < 4; i += 1) guard.worked();
    for (let i = 0; i < 5; i += 1) assert.equal(guard.failed(), false, 'too few to tell');
    assert.equal(guard.failed(), true);
    assert.equal(guard.failed(), true);
    assert.deepEqual(changes, [true]);
  });

  it('stays open while less than its share fails', () => {
    const { guard } = aGuard();
    for (let i = 0; i < 1_000; i += 1) {
      guard.worked(2);
      assert.equal(guard.failed(), false);
    }
  });

  it('forgets what is older than its window', () => {
    const { guard, time } = aGuard();
    for (let i = 0; i < 9; i += 1) guard.failed();
    time.now += 1_001;
    assert.equal(guard.failed(), false);
  });

  it('lets one attempt probe now and then while shut, and opens when that works', () => {
    const { guard, time, changes } = aGuard();
    for (let i = 0; i < 10; i += 1) guard.failed();
    assert.equal(guard.admits(), false);
    time.now += 200;
    assert.deepEqual([guard.admits(), guard.admits()], [true, false]);
    guard.failed();
    assert.equal(guard.isShut(), true);
    time.now += 200;
    assert.equal(guard.admits(), true);
    guard.worked();
    assert.deepEqual([guard.isShut(), guard.admits(), changes], [false, true, [true, false]]);
    // It starts to count anew: what failed before it opened does not shut it again.
    assert.equal(guard.failed(), false);
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
  return { guard, time, changes };
}
