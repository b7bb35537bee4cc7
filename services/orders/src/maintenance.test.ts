import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { keepHouse } from './maintenance.ts';

describe('a round of housekeeping', () => {
  it('goes on until a batch is not full, however much is old', async () => {
    const done = await keepHouse(poolThatPrunes([5_000, 5_000, 12]));
    assert.deepEqual([done.order_keys, done.sentinel_orders], [10_012, 0]);
  });

  it('ends after the batch at hand when the service stops', async () => {
    let asked = 0;
    const done = await keepHouse(poolThatPrunes([5_000, 5_000, 12]), () => asked++ > 0);
    assert.equal(done.order_keys, 5_000);
  });
});

/** Answers orders.prune with these numbers of keys, one a call, and everything else with no row. */
function poolThatPrunes(batches: number[]) {
  return {
    // biome-ignore lint/suspicious/noExplicitAny: the rows of whatever the caller asks for.
    async query(text: string): Promise<any> {
      if (!text.includes('orders.prune(')) return { rows: [] };
      return { rows: [{ order_keys: batches.shift() ?? 0, sentinel_orders: 0 }] };
    },
  };
}
