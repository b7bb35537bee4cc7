import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'mocha';
import { runRaces } from './parking-races.ts';

describe('owners of a partition that overlap, lose their connections and are interfered with', function () {
  this.timeout(120_000);

  it('lose nothing, double nothing and keep each key in order, on a real Postgres', async () => {
    const seed = randomInt(2 ** 31);
    const report = await runRaces({ seed, disturbMs: 8_000 });
    console.log(`      seed ${seed}: ${JSON.stringify(report)}`);
    const { lost, doubled, reordered, forbidden, examples } = report.verdict;
    const wrong = { lost, doubled, reordered, forbidden, examples };
    assert.deepEqual(wrong, { lost: 0, doubled: 0, reordered: 0, forbidden: 0, examples: [] });
    assert.deepEqual({ left: report.leftBehind, behind: report.committed }, { left: 0, behind: 0 });
    // Else nothing was shown.
    assert.ok(report.owners > 10 && report.cut > 10 && (report.decisions.edited ?? 0) > 0);
  });
});
