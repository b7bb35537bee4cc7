import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { type Basket, priceOf } from './pricing.ts';
import type { PricedProduct, VersionedPromotion } from './types.ts';

describe('the price of a basket', () => {
  it('is the sum of its lines, in the order in which they were given', () => {
    const pricing = priceOf(basket({ lines: [line('pizza', 2), line('cola', 3), line('pizza', 1)] }));
    assert.equal(pricing.kind, 'priced');
    assert.deepEqual(
      pricing.kind === 'priced' && pricing.price.items.map((item) => [item.product_id, item.line_total]),
      [
        ['pizza', 1900],
        ['cola', 750],
        ['pizza', 950],
      ],
    );
    assert.equal(pricing.kind === 'priced' && pricing.price.total, 3600);
  });

  it('takes off what the promotion gives', () => {
    const pricing = priceOf(basket({ promoCode: 'TEN', promotion: aPromotion({ value: 10 }) }));
    assert.deepEqual(
      pricing.kind === 'priced' && [pricing.price.subtotal, pricing.price.discount, pricing.price.total],
      [950, 95, 855],
    );
  });

  it('is the full one when the promotion does not apply, and says why', () => {
    const pricing = priceOf(basket({ promoCode: 'TEN', promotion: aPromotion({ minimum: 951 }) }));
    assert.deepEqual(
      pricing.kind === 'priced' && [pricing.price.total, pricing.price.promo_code, pricing.refused],
      [950, null, [{ code: 'TEN', reason: 'minimum_not_met' }]],
    );
  });

  it('does not exist while a product is missing or not available, and names the lines', () => {
    const lines = [line('pizza'), line('unknown'), line('sold out')];
    assert.deepEqual(priceOf(basket({ lines })), { kind: 'not_available', positions: [1, 2] });
  });

  it('does not exist in two currencies at once', () => {
    const lines = [line('pizza'), line('bagel'), line('pizza')];
    assert.deepEqual(priceOf(basket({ lines })), { kind: 'mixed_currencies', positions: [1] });
  });

  it('does not exist beyond what a number can hold exactly', () => {
    const lines = [line('palace', 1_000)];
    assert.deepEqual(priceOf(basket({ lines })), { kind: 'too_much' });
  });

  it('is made of whole amounts that add up, whatever is ordered', () => {
    const amount = fc.integer({ min: 0, max: 10_000_000_000 });
    const quantity = fc.integer({ min: 1, max: 1_000 });
    const lines = fc.array(fc.tuple(amount, quantity), { minLength: 1, maxLength: 200 });
    const percent = fc.record({
      kind: fc.constant('percent' as const),
      value: fc.integer({ min: 1, max: 100 }),
    });
    const fixed = fc.record({
      kind: fc.constant('amount' as const),
      value: fc.integer({ min: 1, max: 10_000_000_000 }),
    });
    fc.assert(
      fc.property(lines, fc.oneof(percent, fixed), (ordered, terms) => {
        const pricing = priceOf({
          lines: ordered.map(([, quantity], index) => line(String(index), quantity)),
          productOf: (id) => aProduct({ id, price: ordered[Number(id)]?.[0] ?? 0 }),
          promoCode: 'ANY',
          promotion: aPromotion(terms),
          atMs: 0,
        });
        assert.ok(pricing.kind === 'priced');
        const { items, subtotal, discount, total } = pricing.price;
        const exact = ordered.reduce((sum, [price, quantity]) => sum + BigInt(price) * BigInt(quantity), 0n);
        assert.equal(BigInt(subtotal), exact);
        assert.equal(
          subtotal,
          items.reduce((sum, item) => sum + item.line_total, 0),
        );
        assert.equal(total, subtotal - discount);
        assert.ok(Number.isSafeInteger(discount) && discount >= 0 && total >= 0);
        if (terms.kind === 'percent') assert.equal(BigInt(discount), (exact * BigInt(terms.value)) / 100n);
      }),
    );
  });
});

const catalogue = new Map(
  [
    aProduct({ id: 'pizza' }),
    aProduct({ id: 'cola', price: 250 }),
    aProduct({ id: 'sold out', available: false }),
    aProduct({ id: 'bagel', currency: 'USD' }),
    aProduct({ id: 'palace', price: Number.MAX_SAFE_INTEGER }),
  ].map((product) => [product.id, product]),
);

function aProduct(fields: Partial<PricedProduct> = {}): PricedProduct {
  return { id: 'pizza', name: 'Pizza', price: 950, currency: 'EUR', available: true, version: 1, ...fields };
}

function line(product_id: string, quantity = 1) {
  return { product_id, quantity };
}

function basket(fields: Partial<Basket> = {}): Basket {
  const productOf = (id: string) => catalogue.get(id);
  return { lines: [line('pizza')], productOf, promoCode: null, promotion: undefined, atMs: 0, ...fields };
}

function aPromotion(fields: Partial<VersionedPromotion> = {}): VersionedPromotion {
  const terms = { kind: 'percent' as const, value: 10, minimum: 0, starts_at: null, ends_at: null };
  return { id: 'p', code: 'TEN', ...terms, usage_limit: null, used: 0, active: true, version: 1, ...fields };
}
