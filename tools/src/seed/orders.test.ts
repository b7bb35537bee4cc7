import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { acmeProducts } from './acme-menu.ts';
import { demoProducts } from './demo-menu.ts';
import { type SampleStatus, sampleOrders, stepsTo } from './orders.ts';

describe('the sample data', () => {
  for (const [tenant, products, count] of [
    ['demo', demoProducts, 60],
    ['acme', acmeProducts, 206],
  ] as const) {
    it(`of ${tenant} has ${count} products, each with a sku of its own`, () => {
      assert.equal(products.length, count);
      assert.equal(new Set(products.map(({ attributes }) => attributes.sku)).size, count);
      for (const { price, name } of products) assert.ok(price >= 50 && price < 5_000, name);
    });
  }

  it('orders only what it was given, the same every time', () => {
    const skus = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const orders = sampleOrders(skus, 'CODE', 20);
    assert.deepEqual(sampleOrders(skus, 'CODE', 20), orders);
    for (const { lines } of orders) {
      assert.ok(lines.length >= 1);
      for (const { sku, quantity } of lines) assert.ok(skus.includes(sku) && quantity >= 1 && quantity <= 3);
    }
    assert.equal(new Set(orders.map(({ status }) => status)).size, 6);
  });

  const steps: [SampleStatus, SampleStatus, SampleStatus[]][] = [
    ['pending', 'pending', []],
    ['pending', 'ready', ['confirmed', 'preparing', 'ready']],
    ['preparing', 'completed', ['ready', 'completed']],
    ['completed', 'ready', []],
    ['pending', 'cancelled', ['cancelled']],
    ['cancelled', 'cancelled', []],
    ['cancelled', 'ready', []],
  ];
  for (const [from, to, expected] of steps) {
    it(`goes from ${from} to ${to} by ${expected.join(', ') || 'no step'}`, () => {
      assert.deepEqual(stepsTo(from, to), expected);
    });
  }
});
