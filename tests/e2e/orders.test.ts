import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'mocha';
import { type Session, signIn } from '../faults/session.ts';
import { type Http, httpTo } from '../support/http.ts';

describe('orders through the gateway', function () {
  this.timeout(60_000);
  let url: string;
  let http: Http;
  let customer: Session;
  let staff: Session;
  let product: { id: string; price: number; version: number };

  before(async () => {
    url = setting('RAGLINE_URL');
    http = httpTo(url);
    const password = setting('RAGLINE_DEMO_PASSWORD');
    customer = await signIn(url, 'demo', 'customer@demo.example', password);
    staff = await signIn(url, 'demo', 'staff@demo.example', password);
    // Of its own: other tests change and delete products of theirs, and the demo's are for people.
    product = await call(
      staff,
      'POST',
      '/v1/products',
      { name: `Test ${randomUUID()}`, price: 725, currency: 'EUR' },
      201,
    );
  });

  async function call(by: Session, method: string, path: string, body: unknown, expected: number) {
    const headers: Record<string, string> = method === 'POST' ? { 'idempotency-key': randomUUID() } : {};
    const answer = await http(method, path, { token: await by.token(), headers, ...(body ? { body } : {}) });
    assert.equal(answer.status, expected, answer.text);
    return answer.body;
  }

  it('are quoted, placed once, moved, and told of step by step', async () => {
    const basket = { items: [{ product_id: product.id, quantity: 3, notes: 'a secret' }] };
    const quote = await call(customer, 'POST', '/v1/orders/quote', basket, 200);
    const request = { token: await customer.token(), headers: { 'idempotency-key': randomUUID() } };
    const body = { ...basket, quote_token: quote.quote_token };
    const first = await http('POST', '/v1/orders', { ...request, body });
    const again = await http('POST', '/v1/orders', { ...request, body });
    assert.equal(first.status, 201, first.text);
    assert.equal(first.body.total, 3 * product.price);
    assert.equal(again.text, first.text);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');

    const { id } = first.body;
    assert.equal(first.headers.get('location'), `/v1/orders/${id}`);
    for (const status of ['confirmed', 'preparing', 'ready', 'completed']) {
      assert.equal((await call(staff, 'POST', `/v1/orders/${id}/status`, { status }, 200)).status, status);
    }
    await call(staff, 'POST', `/v1/orders/${id}/cancel`, {}, 409);
    const { data } = await call(customer, 'GET', `/v1/orders/${id}/history`, undefined, 200);
    assert.deepEqual(
      data.map((event: { order: { status: string } }) => event.order.status),
      ['pending', 'confirmed', 'preparing', 'ready', 'completed'],
    );
    assert.doesNotMatch(JSON.stringify(data), /secret/);
  });

  it('come with the place in the stream from which nothing is missed', async () => {
    const { headers } = await http('GET', '/v1/orders?limit=1', { token: await customer.token() });
    assert.match(headers.get('stream-position') ?? '', /^[\w-]{100,}$/);
  });

  it('have the price of the moment, with whichever instance one speaks', async () => {
    for (let price = 800; price < 810; price++) {
      await call(staff, 'PATCH', `/v1/products/${product.id}`, { price }, 200);
      assert.equal((await call(customer, 'GET', `/v1/products/${product.id}`, undefined, 200)).price, price);
      const placed = await call(
        customer,
        'POST',
        '/v1/orders',
        { items: [{ product_id: product.id, quantity: 1 }] },
        201,
      );
      assert.equal(placed.total, price);
    }
  });

  it('belong to their tenant', async () => {
    const other = await signIn(url, 'acme', 'admin@acme.example', setting('RAGLINE_DEMO_PASSWORD'));
    const { data } = await call(customer, 'GET', '/v1/orders?limit=1', undefined, 200);
    const problem = await call(other, 'GET', `/v1/orders/${data[0].id}`, undefined, 404);
    assert.equal(problem.code, 'not_found');
    assert.match(problem.request_id, /./);
    await call(other, 'POST', '/v1/orders', { items: [{ product_id: product.id, quantity: 1 }] }, 409);
  });
});

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this through npm test`);
  return value;
}
