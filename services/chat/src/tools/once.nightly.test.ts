import type { Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { type Death, places, runSchedule } from './once.support.ts';
import { type Desk, openDesk } from './tools.support.ts';

const schedules = 500;

describe('an approved order, whatever happens to its workers', function () {
  this.timeout(600_000);
  let pool: Pool;
  let desk: Desk;

  before(async () => {
    pool = poolOf('ragline_chat', 8);
    desk = await openDesk({ pool });
  });
  after(async () => {
    await desk?.stop();
    await pool?.end();
  });

  it(`is placed once in each of ${schedules} random schedules`, async () => {
    const death: fc.Arbitrary<Death> = fc.record(
      {
        at: fc.constantFrom(...places),
        border: fc.constantFrom<NonNullable<Death['border']>>('lose', 'place-and-lose', 'late', 503),
        beside: fc.boolean(),
        price: fc.constantFrom<NonNullable<Death['price']>>('other', 'back'),
        release: fc.boolean(),
      },
      { requiredKeys: ['at'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(death, { maxLength: 5 }), async (deaths) => {
        await runSchedule(pool, desk, deaths);
      }),
      { numRuns: schedules },
    );
  });
});
