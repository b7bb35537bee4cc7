import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'mocha';
import { ownParts } from './own-parts.ts';
import { runParking } from './parking.ts';

describe('a group that keeps order, killed and frozen for twenty minutes', function () {
  this.timeout(1_800_000);
  ownParts();

  it('loses nothing, doubles nothing and keeps each key in order', async () => {
    const seed = randomInt(2 ** 31);
    const load = { keys: 200, eventsPerSecond: 60 };
    const report = await runParking({ seed, disturbMs: 1_200_000, settleMs: 300_000, ...load });
    console.log(`      seed ${seed}: ${JSON.stringify(report)}`);
    const { lost, doubled, reordered, forbidden } = report.verdict;
    assert.deepEqual(
      { lost, doubled, reordered, forbidden },
      { lost: 0, doubled: 0, reordered: 0, forbidden: 0 },
    );
    assert.equal(report.leftBehind, 0);
  });
});
