import assert from 'node:assert/strict';
import type { Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import { after, before, describe, it } from 'mocha';
import { askingPlaces, askTwice, type Counts, type Death, places, runSchedule } from './once.support.ts';
import { type Desk, openDesk } from './tools.support.ts';

describe('an approved order', function () {
  this.timeout(60_000);
  let pool: Pool;
  let desk: Desk;
  let total: Counts;

  before(async () => {
    pool = poolOf('ragline_chat', 8);
    desk = await openDesk({ pool });
    total = { kills: 0, orders: 0, replaced: 0 };
  });
  after(async () => {
    await desk?.stop();
    await pool?.end();
  });

  const run = async (...deaths: Death[]) => {
    const counts = await runSchedule(pool, desk, deaths);
    total.kills += counts.kills;
    total.orders += counts.orders;
    total.replaced += counts.replaced;
    return counts;
  };

  it('is placed once when its worker dies at any place, at once or again and again', async () => {
    for (const at of places) {
      await run({ at });
      await run({ at }, { at });
      await run({ at, beside: true }, { at });
    }
  });

  it('is placed once when its answer is lost, its request is lost or refused for the moment', async () => {
    for (const at of places) {
      await run({ at, border: 'place-and-lose' }, { at: 'order.answered', border: 'place-and-lose' });
      await run({ at, border: 'lose' }, { at });
    }
  });

  it('is placed once when its request arrives after its worker has died, before or after the next one', async () => {
    for (const at of places) {
      await run({ at, border: 'late', release: true }, { at });
      await run({ at, border: 'late' }, { at: 'order.answered' });
    }
  });

  it('is placed once when the price changes between the deaths, and late requests arrive at their old price', async () => {
    for (const at of places) {
      await run({ at, price: 'other' }, { at });
      // Refused at the other price; then the price is the old one again, and the first request arrives after all.
      await run(
        { at: 'settle.commit', border: 'late', price: 'other' },
        { at: 'settle.committed', price: 'back', release: true },
        { at },
      );
    }
  });

  it('is asked for once when the worker that asks dies at any place', async () => {
    for (const at of askingPlaces) {
      assert.deepEqual(await askTwice(pool, desk, at), { made: 1, waiting: 1 }, at);
      total.kills += 1;
    }
  });

  it('was killed at least 200 times by then, and placed once each time', () => {
    assert.ok(total.kills >= 200, `only ${total.kills} kills`);
    assert.ok(total.replaced > 0, 'no price ever changed');
  });
});
