import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Price } from './pricing.ts';
import { quoteTokens, quoteValidMs } from './quote-token.ts';

const quotes = quoteTokens('one secret of thirty-two characters');
const holder = { tenant_id: 'tenant', user_id: 'user' };
const price: Price = {
  items: [
    { product_id: 'pizza', name: 'Pizza', quantity: 2, unit_price: 950, line_total: 1900, notes: 'hot' },
  ],
  currency: 'EUR',
  subtotal: 1900,
  discount: 190,
  total: 1710,
  promo_code: 'TEN',
};

describe('a quote token', () => {
  const { quote_token: token, expires_at } = quotes.seal(holder, price, 0);

  it('holds for its user, its price and 15 minutes', () => {
    assert.equal(expires_at, '1970-01-01T00:15:00.000Z');
    assert.equal(quotes.judge(token, holder, price, quoteValidMs - 1), 'valid');
    assert.equal(quotes.judge(token, holder, price, quoteValidMs), 'expired');
  });

  it('is worth nothing in other hands', () => {
    assert.equal(quotes.judge(token, { ...holder, user_id: 'other' }, price, 0), 'forged');
    assert.equal(quotes.judge(token, { ...holder, tenant_id: 'other' }, price, 0), 'forged');
  });

  it('does not mind other notes, or another name of the product', () => {
    const items = price.items.map((item) => ({ ...item, notes: null, name: 'Margherita' }));
    assert.equal(quotes.judge(token, holder, { ...price, items }, 0), 'valid');
  });

  const others: [what: string, other: Partial<Price>][] = [
    ['a price', { items: price.items.map((item) => ({ ...item, unit_price: 951 })) }],
    ['a quantity', { items: price.items.map((item) => ({ ...item, quantity: 3 })) }],
    ['a product', { items: price.items.map((item) => ({ ...item, product_id: 'cola' })) }],
    ['a line', { items: [...price.items, ...price.items] }],
    ['the discount', { discount: 0, total: 1900 }],
    ['the promotion', { promo_code: null }],
    ['the currency', { currency: 'USD' }],
  ];
  for (const [what, other] of others) {
    it(`no longer holds when ${what} is another`, () => {
      assert.equal(quotes.judge(token, holder, { ...price, ...other }, 0), 'changed');
    });
  }

  it('cannot be made, lengthened or mixed by anybody else', () => {
    const [body = '', signature = ''] = token.split('.');
    const later = Buffer.from(JSON.stringify([1, 'tenant', 'user', 9e15, 'x'])).toString('base64url');
    const elsewhere = quoteTokens('another secret of thirty-two chars').seal(holder, price, 0).quote_token;
    for (const forged of [
      '',
      '.',
      'a.b',
      body,
      `${body}.`,
      `${later}.${signature}`,
      `${token}.x`,
      elsewhere,
    ]) {
      assert.equal(quotes.judge(forged, holder, price, 0), 'forged', forged);
    }
  });
});
