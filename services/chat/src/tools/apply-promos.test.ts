import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { candidates } from './definitions/apply-promos.ts';
import type { Promotion } from './orders-client.ts';

const promotion = (code: string, fields: Partial<Promotion>): Promotion => ({
  code,
  kind: 'percent',
  value: 10,
  minimum: 0,
  ends_at: null,
  ...fields,
});

describe('promotions to try', () => {
  const running = [
    promotion('TEN', {}),
    promotion('FIVER', { kind: 'amount', value: 500 }),
    promotion('HALF', { value: 50, minimum: 10_000 }),
  ];

  it('begin with those that promise most for this basket', () => {
    assert.deepEqual(candidates(running, 2_000, undefined), ['FIVER', 'TEN', 'HALF']);
    assert.deepEqual(candidates(running, 20_000, undefined), ['HALF', 'TEN', 'FIVER']);
  });

  it('begin with the customer’s own code, however it is spelt', () => {
    assert.deepEqual(candidates(running, 2_000, ' ten '), ['TEN', 'FIVER', 'HALF']);
    assert.deepEqual(candidates(running, 2_000, 'mine'), ['MINE', 'FIVER', 'TEN', 'HALF']);
  });

  it('are few, however many there are', () => {
    const many = Array.from({ length: 100 }, (_, n) => promotion(`P${n}`, {}));
    assert.equal(candidates(many, 2_000, 'mine').length, 12);
  });
});
