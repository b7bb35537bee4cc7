import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { startTokens } from '../../../tests/support/tokens.ts';
import {
  type Caller,
  type Instance,
  makeCaller,
  makeProduct,
  startInstance,
  type Tokens,
} from './orders.support.ts';

describe('what nobody should send', () => {
  let tokens: Tokens;
  let instance: Instance;
  let staff: Caller;
  let id: string;

  before(async () => {
    tokens = await startTokens();
    instance = await startInstance({ tokens });
    staff = await makeCaller(tokens, instance, { roles: ['staff'] });
    id = (await makeProduct(staff)).id;
  });
  after(async () => {
    await instance?.stop();
    await tokens?.stop();
  });

  const refused = async (
    answer: Promise<{ status: number; text: string; headers: Headers }>,
    what: string,
  ) => {
    const { status, text, headers } = await answer;
    assert.ok(status >= 400 && status < 500, `${what}: ${status} ${text}`);
    assert.equal(headers.get('content-type'), 'application/problem+json', what);
    assert.doesNotMatch(text, /select|insert|stack|node_modules|pg_/i, what);
  };
  const raw = (path: string, text: string) =>
    staff.call('POST', path, { raw: text, headers: { 'idempotency-key': randomUUID() } });

  const numbers = [
    '-1',
    '1.5',
    '1e400',
    '1e21',
    '9007199254740993',
    '18446744073709551616',
    '"1"',
    'null',
    'true',
    '[]',
  ];
  for (const number of numbers) {
    it(`is refused as a number: ${number}`, async () => {
      await refused(raw('/v1/orders', `{"items":[{"product_id":"${id}","quantity":${number}}]}`), 'quantity');
      await refused(raw('/v1/products', `{"name":"x","price":${number},"currency":"EUR"}`), 'price');
      await refused(raw('/v1/promotions', `{"code":"x","kind":"amount","value":${number}}`), 'value');
      if (number === 'null') return;
      await refused(
        raw('/v1/promotions', `{"code":"x","kind":"amount","value":1,"usage_limit":${number}}`),
        'limit',
      );
    });
  }

  const texts: [what: string, json: string][] = [
    ['a NUL', '"a\\u0000b"'],
    ['half a surrogate pair', '"a\\ud800b"'],
    ['the other half', '"\\udc00"'],
    ['nothing', '""'],
    ['far too much', `"${'x'.repeat(20_000)}"`],
    ['a number', '1'],
    ['an object', '{}'],
  ];
  for (const [what, text] of texts) {
    it(`is refused as a text: ${what}`, async () => {
      await refused(raw('/v1/products', `{"name":${text},"price":1,"currency":"EUR"}`), 'name');
      await refused(raw('/v1/products', `{"name":"x","price":1,"currency":"EUR","tags":[${text}]}`), 'tag');
      await refused(raw('/v1/products', `{"name":"x","price":1,"currency":${text}}`), 'currency');
      await refused(raw('/v1/promotions', `{"code":${text},"kind":"amount","value":1}`), 'code');
      await refused(raw('/v1/orders', `{"items":[{"product_id":${text},"quantity":1}]}`), 'product');
      await refused(
        raw('/v1/orders/quote', `{"items":[{"product_id":"${id}","quantity":1}],"promo_code":${text}}`),
        'promo',
      );
      await refused(
        raw('/v1/orders', `{"items":[{"product_id":"${id}","quantity":1}],"quote_token":${text}}`),
        'quote',
      );
      if (text === '""') return;
      await refused(
        raw('/v1/orders', `{"items":[{"product_id":"${id}","quantity":1}],"notes":${text}}`),
        'notes',
      );
      await refused(
        raw('/v1/orders', `{"items":[{"product_id":"${id}","quantity":1,"notes":${text}}]}`),
        'item notes',
      );
    });
  }

  const attributes: [what: string, json: string][] = [
    ['a NUL in a value', '{"a":"\\u0000"}'],
    ['a NUL in a name', '{"\\u0000":1}'],
    ['half a surrogate pair deep inside', '{"a":[{"b":"\\ud800"}]}'],
    ['a depth of 50', `{"a":${'['.repeat(50)}${']'.repeat(50)}}`],
    ['a depth of 100,000', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['more than it may hold', `{"a":"${'x'.repeat(20_000)}"}`],
    ['an array', '[]'],
  ];
  for (const [what, json] of attributes) {
    it(`is refused in attributes: ${what}`, async () => {
      await refused(
        raw('/v1/products', `{"name":"x","price":1,"currency":"EUR","attributes":${json}}`),
        what,
      );
    });
  }

  it('is refused as a list of items: none, too many, ten thousand, none at all', async () => {
    const items = (n: number) => JSON.stringify({ items: Array(n).fill({ product_id: id, quantity: 1 }) });
    for (const text of [
      items(0),
      items(201),
      items(10_000),
      '{}',
      '{"items":{}}',
      '[]',
      'null',
      '',
      '{',
      '"',
    ]) {
      await refused(raw('/v1/orders', text), text.slice(0, 40));
      await refused(raw('/v1/orders/quote', text), text.slice(0, 40));
    }
  });

  it('is refused when it has fields that nobody knows, prices above all', async () => {
    const item = { product_id: id, quantity: 1 };
    for (const body of [
      { items: [{ ...item, unit_price: 1 }] },
      { items: [item], total: 1 },
      { items: [item], tenant_id: randomUUID() },
    ]) {
      const { status, body: answer } = await staff.order(body);
      assert.deepEqual([status, answer.code], [422, 'invalid']);
    }
  });

  it('is refused as a query', async () => {
    const uuid = Buffer.from(JSON.stringify(['name', 0, 'x', 'not a uuid'])).toString('base64url');
    const endless = Buffer.from(JSON.stringify(['price', 1e300, '', id])).toString('base64url');
    for (const query of [
      'limit=0',
      'limit=201',
      'limit=99999999999999999999',
      'limit=1.5',
      'limit=x',
      'limit=1&limit=2',
      'cursor=%00',
      'cursor=bm9uc2Vuc2U',
      `cursor=${uuid}`,
      `sort=price&cursor=${endless}`,
      `cursor=${'x'.repeat(2_000)}`,
      'min_price=-1',
      'min_price=9223372036854775808',
      'max_price=1e3',
      'available=maybe',
      'sort=color',
      'q=%00',
      'q=',
      `q=${'x'.repeat(201)}`,
      'category=a%00b',
      'q=a&q=b',
    ]) {
      await refused(staff.get(`/v1/products?${query}`), query);
    }
    for (const query of [
      'status=lost',
      'from=yesterday',
      'from=2026-13-01T00:00:00Z',
      'to=%00',
      'limit=0',
      'cursor=x',
    ]) {
      await refused(staff.get(`/v1/orders?${query}`), query);
    }
  });

  it('is refused as an id, with 404', async () => {
    for (const bad of ['x', '%00', '..%2f', '0', `${id}x`, '9'.repeat(40)]) {
      for (const path of [
        `/v1/products/${bad}`,
        `/v1/orders/${bad}`,
        `/v1/orders/${bad}/history`,
        `/internal/trace/${bad}`,
      ]) {
        assert.equal((await staff.get(path)).status, 404, path);
      }
    }
  });

  it('is refused as an idempotency key', async () => {
    const body = { items: [{ product_id: id, quantity: 1 }] };
    for (const key of ['', ' ', 'x'.repeat(256), 'a b', 'ü']) {
      const { status } = await staff.post('/v1/orders', body, { 'idempotency-key': key });
      assert.equal(status, 400, key);
    }
  });

  it('is refused as a step', async () => {
    const { body } = await staff.order({ items: [{ product_id: id, quantity: 1 }] });
    for (const text of [
      '{"status":"lost"}',
      '{"status":null}',
      '{}',
      '',
      '{"status":"confirmed","x":1}',
      '[]',
    ]) {
      await refused(raw(`/v1/orders/${body.id}/status`, text), text);
    }
    for (const text of ['{"reason":"\\u0000"}', '{"reason":1}', '[]', '{"x":1}', '{']) {
      await refused(raw(`/v1/orders/${body.id}/cancel`, text), text);
    }
  });

  it('is refused beyond a mebibyte', async () => {
    const { status, body } = await raw('/v1/orders', JSON.stringify({ notes: 'x'.repeat(1024 * 1024) }));
    assert.deepEqual([status, body.code], [413, 'too_large']);
  });
});
