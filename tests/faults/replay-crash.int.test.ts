import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { replayThroughKills } from './replay-crash.ts';

describe('replays of a service that is killed over and over', function () {
  this.timeout(180_000);

  it('reach a group that keeps order once each', async () => {
    const { calls_max, ...report } = await replayThroughKills(60, 'by-key', [5, 20, 60]);
    assertOnce(report, 60);
    assert.equal(calls_max, 2);
  });

  it('take effect once each in a group without order, also where they were sent twice', async () => {
    const { calls_max: _, ...report } = await replayThroughKills(60, 'none', [5, 20, 60]);
    assertOnce(report, 60);
  });
});

function assertOnce(report: object, letters: number): void {
  const expected = { letters, kills: 3, resolved: letters, inbox: letters, doubled: 0, stuck: 0 };
  assert.deepEqual(report, expected);
}
