import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { faultNames, faults } from './faults.ts';
import type { Stats } from './schedule.ts';
import { countsOf, search, story } from './search.ts';

const schedules = 10_000;
// The rarest needs some two thousand.
const schedulesPerFault = 6_000;

describe('parking, in a world that a seed decides', function () {
  this.timeout(400_000);

  it(`keeps every promise in ${schedules} schedules of crashes, freezes, rebalances and operators`, async () => {
    const stats: Stats = {};
    const found = await search({ from: 1, schedules, stats });
    if (found !== undefined)
      assert.fail(`seed ${found.seed}: ${found.violation}\n${await story(found.seed)}`);
    process.stdout.write(`      ${schedules} schedules, ${countsOf(stats)}\n`);
    // What never happened was not shown to be harmless.
    for (const what of ['crashes', 'freezes', 'fenced', 'commits refused', 'replies lost', 'append gone'])
      assert.ok((stats[what] ?? 0) > 0, what);
  });

  for (const fault of faultNames) {
    it(`finds it when ${faults[fault]}`, async () => {
      const found = await search({ from: 1, schedules: schedulesPerFault, fault });
      assert.ok(found, `${fault} was not found in ${schedulesPerFault} schedules`);
      process.stdout.write(`      ${fault} after ${found.schedules}: ${found.violation}\n`);
    });
  }

  it('does the same again with the same seed', async () => {
    assert.equal(await story(7, Number.POSITIVE_INFINITY), await story(7, Number.POSITIVE_INFINITY));
  });
});
