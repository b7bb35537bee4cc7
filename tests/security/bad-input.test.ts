/** Input that nobody should send: each gets a 4xx with a problem, and nothing breaks. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'mocha';
import { exchangeBytes } from '../../services/gateway/src/testing.ts';
import type { HttpAnswer } from '../support/http.ts';
import { http, origin, tokenOf } from './scene.ts';

const anId = '019a0000-0000-7000-8000-0000000000ff';
const item = (more: object) => ({ items: [{ product_id: anId, quantity: 1, ...more }] });

function assertProblem(
  answer: HttpAnswer<{ code?: string; request_id?: string }>,
  statuses: number[],
  what: string,
) {
  assert.ok(statuses.includes(answer.status), `${what}: ${answer.status} ${answer.text.slice(0, 300)}`);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/, what);
  assert.equal(typeof answer.body.code, 'string', what);
  assert.equal(answer.body.request_id, answer.headers.get('x-request-id'), what);
  assert.ok(!/at .*\.(ts|js):\d+|SELECT |INSERT /.test(answer.text), `${what} shows its inside`);
}

describe('bad input', function () {
  this.timeout(60_000);
  let customer: string;
  let staff: string;
  before(async () => {
    customer = await tokenOf('customer@demo');
    staff = await tokenOf('staff@demo');
  });

  const post = (raw: string, headers: Record<string, string> = {}) =>
    http('POST', '/v1/orders', {
      token: customer,
      raw,
      headers: { 'idempotency-key': randomUUID(), ...headers },
    });

  const bodies: [string, string, number[]][] = [
    ['no JSON', '{"items":', [400]],
    ['nothing', '', [400, 422]],
    ['a text', '"items"', [400, 422]],
    ['null', 'null', [400, 422]],
    ['a list', '[]', [400, 422]],
    ['no items', '{"items":[]}', [422]],
    ['items of another type', '{"items":{"0":1}}', [422]],
    ['an unknown field', JSON.stringify({ ...item({}), price: 1 }), [422]],
    ['an unknown field of an item', JSON.stringify(item({ unit_price: 1 })), [422]],
    ['a field of the prototype', '{"__proto__":{"admin":true},"items":[]}', [400, 422]],
    [
      'an integer beyond bigint',
      `{"items":[{"product_id":"${anId}","quantity":9223372036854775808}]}`,
      [422],
    ],
    ['an integer beyond int', `{"items":[{"product_id":"${anId}","quantity":2147483648}]}`, [422]],
    ['1e400', `{"items":[{"product_id":"${anId}","quantity":1e400}]}`, [400, 422]],
    ['a negative quantity', JSON.stringify(item({ quantity: -1 })), [422]],
    ['a half', JSON.stringify(item({ quantity: 0.5 })), [422]],
    ['a quantity as text', JSON.stringify(item({ quantity: '1' })), [422]],
    ['an id that is none', JSON.stringify(item({ product_id: "' OR 1=1 --" })), [422]],
    ['a NUL byte', JSON.stringify({ ...item({ notes: 'a\u0000b' }) }), [400, 422]],
    ['a lone surrogate', `{"items":[{"product_id":"${anId}","quantity":1,"notes":"\\ud800"}]}`, [400, 422]],
    [
      '10,000 items',
      JSON.stringify({ items: Array.from({ length: 10_000 }, () => item({}).items[0]) }),
      [413, 422],
    ],
    ['201 items', JSON.stringify({ items: Array.from({ length: 201 }, () => item({}).items[0]) }), [422]],
    ['lists in lists', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, [400, 413, 422]],
    ['objects in objects', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`, [400, 413, 422]],
    ['a body over 1 MiB', JSON.stringify({ ...item({}), notes: 'x'.repeat(1_100_000) }), [413]],
    ['a text that is too long', JSON.stringify({ ...item({}), notes: 'x'.repeat(500_000) }), [413, 422]],
  ];
  for (const [what, raw, statuses] of bodies) {
    it(`refuses ${what}`, async () => assertProblem(await post(raw), statuses, what));
  }

  it('refuses bytes that are no UTF-8', async () => {
    const raw = Buffer.concat([
      Buffer.from('{"items":[],"notes":"'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}'),
    ]);
    const answer = await http('POST', '/v1/orders', {
      token: customer,
      raw: Uint8Array.from(raw),
      headers: { 'idempotency-key': randomUUID() },
    });
    assertProblem(answer, [400, 422], 'bad UTF-8');
  });

  it('refuses other media types', async () => {
    assertProblem(
      await post('items=1', { 'content-type': 'application/x-www-form-urlencoded' }),
      [415],
      'a form',
    );
    assertProblem(await post('<a/>', { 'content-type': 'application/xml' }), [415], 'XML');
  });

  it('refuses an order without an idempotency key, or with a wrong one', async () => {
    const body = item({});
    assertProblem(await http('POST', '/v1/orders', { token: customer, body }), [400], 'no key');
    const long = { 'idempotency-key': 'x'.repeat(5_000) };
    assertProblem(
      await http('POST', '/v1/orders', { token: customer, body, headers: long }),
      [400, 422],
      'long key',
    );
  });

  const queries: [string, number[]][] = [
    ['limit=0', [400, 422]],
    ['limit=201', [400, 422]],
    ['limit=-1', [400, 422]],
    ['limit=9223372036854775808', [400, 422]],
    ['limit=abc', [400, 422]],
    ['limit=1&limit=2', [400, 422]],
    ['cursor=abc', [400]],
    ['cursor=%00', [400, 422]],
    [`cursor=${'a'.repeat(5_000)}`, [400, 422]],
    ['status=nothing', [400, 422]],
    ['from=yesterday', [400, 422]],
    ['from=%EF%BF%BF', [400, 422]],
  ];
  for (const [query, statuses] of queries) {
    it(`refuses /v1/orders?${query.slice(0, 40)}`, async () => {
      assertProblem(await http('GET', `/v1/orders?${query}`, { token: customer }), statuses, query);
    });
  }

  const ids = [
    '1',
    'abc',
    '%27%20OR%201=1',
    '%00',
    '019a0000-0000-7000-8000-0000000000fg',
    'x'.repeat(3_000),
  ];
  for (const id of ids) {
    it(`finds no order ${id.slice(0, 40)}`, async () => {
      const answer = await http('GET', `/v1/orders/${id}`, { token: customer });
      assertProblem(answer, [404], id);
    });
  }

  it('refuses prices and texts that no product has', async () => {
    const product = { name: 'x', price: 1, currency: 'EUR' };
    const wrong = [
      { ...product, price: -1 },
      { ...product, price: 1.5 },
      { ...product, price: 2 ** 53 },
      { ...product, currency: 'euro' },
      { ...product, name: '' },
      { ...product, name: 'a\u0000' },
      { ...product, name: '\ud800' },
      { ...product, tags: Array.from({ length: 10_000 }, (_, i) => `t${i}`) },
      { ...product, version: 1 },
      { ...product, tenant_id: anId },
    ];
    for (const body of wrong) {
      const raw = JSON.stringify(body);
      assertProblem(await http('POST', '/v1/products', { token: staff, raw }), [400, 422], raw.slice(0, 80));
    }
  });

  it('refuses tokens that are none', async () => {
    const head = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
    const forged = `${head}.${customer.split('.')[1]}.`;
    const changed = `${customer.slice(0, -4)}AAAA`;
    for (const token of ['x', 'a.b.c', forged, changed, 'é', `${customer}x`, 'x'.repeat(9_000)]) {
      const authorization = `Bearer ${encodeURI(token)}`;
      assertProblem(
        await http('GET', '/v1/orders', { headers: { authorization } }),
        [401],
        token.slice(0, 20),
      );
    }
  });

  it('answers 4xx to a slow body within the limit, while others are served', async () => {
    const { port } = new URL(origin);
    const slow = exchangeBytes(
      Number(port),
      `POST /v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${customer}\r\ncontent-length: 100\r\n\r\n{`,
      { withinMs: 40_000 },
    );
    assert.equal((await http('GET', '/v1/orders?limit=1', { token: customer })).status, 200);
    assert.match(await slow, /^HTTP\/1\.1 408 [\s\S]*"code":"timeout"/);
  });
});
