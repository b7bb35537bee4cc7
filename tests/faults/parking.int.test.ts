import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'mocha';
import { runParking } from './parking.ts';

describe('a group that keeps order while its processes are killed and frozen and people mend its dead letters', function () {
  this.timeout(170_000);

  it('loses nothing, doubles nothing and keeps each key in order', async () => {
    const seed = randomInt(2 ** 31);
    const report = await runParking({ seed, disturbMs: 35_000, settleMs: 75_000 });
    const { verdict, disturbances, decisions, leftBehind } = report;
    console.log(`      seed ${seed}: ${JSON.stringify(report)}`);
    const { lost, doubled, reordered, forbidden } = verdict;
    assert.deepEqual(
      { lost, doubled, reordered, forbidden },
      { lost: 0, doubled: 0, reordered: 0, forbidden: 0 },
    );
    assert.equal(leftBehind, 0);
    // Else nothing was shown.
    assert.ok(verdict.events > 300 && disturbances.kills + disturbances.freezes >= 3 && report.dead > 0);
    assert.ok((decisions.edited ?? 0) > 0 && (decisions.replaying ?? 0) > 0);
  });
});
