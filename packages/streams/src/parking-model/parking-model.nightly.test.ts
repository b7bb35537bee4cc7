import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'mocha';
import type { Stats } from './schedule.ts';
import { countsOf, search, story } from './search.ts';

const schedules = 200_000;

describe('parking, in many worlds', function () {
  this.timeout(3_600_000);

  it(`keeps every promise in ${schedules} schedules that nobody has seen before`, async () => {
    const stats: Stats = {};
    const from = randomInt(1_000_000_000);
    const found = await search({ from, schedules, stats });
    if (found !== undefined)
      assert.fail(`seed ${found.seed}: ${found.violation}\n${await story(found.seed)}`);
    process.stdout.write(`      ${schedules} schedules from seed ${from}, ${countsOf(stats)}\n`);
  });
});
