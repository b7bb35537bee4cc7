import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { fittingCount } from './delivery-store.ts';

describe('a page of deliveries', () => {
  const cases: [string, number[], number][] = [
    ['has all that there are where they are small', [10, 20, 70], 3],
    ['ends where it would become too large', [10, 20, 71, 1], 2],
    ['has one, however large it is', [500, 1], 1],
    ['has no second beside one that is as large as a page', [100, 1], 1],
    ['is empty where there are none', [], 0],
  ];
  for (const [what, bytes, count] of cases) {
    it(what, () => assert.equal(fittingCount(bytes, 100), count));
  }
});
