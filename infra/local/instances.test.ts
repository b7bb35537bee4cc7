import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { parseInstances } from './instances.ts';

describe('RAGLINE_INSTANCES', () => {
  it('reads names with numbers', () => {
    assert.deepEqual(parseInstances('notifications=2, orders=3,dead-letters=2'), {
      notifications: 2,
      orders: 3,
      'dead-letters': 2,
    });
  });

  it('is one of each when it is not set', () => {
    assert.deepEqual(parseInstances(undefined), {});
    assert.deepEqual(parseInstances(''), {});
  });

  for (const wrong of [
    'kitchen=2',
    'orders',
    'orders=0',
    'orders=two',
    'orders=17',
    'orders=1.5',
    'gateway=2',
  ]) {
    it(`refuses ${wrong} and names it`, () => {
      assert.throws(() => parseInstances(wrong), new RegExp(wrong.split('=')[0] ?? ''));
    });
  }
});
