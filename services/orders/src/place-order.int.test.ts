import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import { after, before, describe, it } from 'mocha';
import { startTokens } from '../../../tests/support/tokens.ts';
import { placeOrder } from './order-store.ts';
import {
  type Caller,
  type Instance,
  makeCaller,
  makeProduct,
  openBacklog,
  ownerPool,
  startInstance,
  type Tokens,
} from './orders.support.ts';
import type { Order } from './types.ts';

describe('placing an order', () => {
  let tokens: Tokens;
  let here: Instance;
  let there: Instance;
  let staff: Caller;
  let customer: Caller;
  let pizza: { id: string; name: string };
  let isBacklogged = false;
  const statements: string[] = [];

  before(async () => {
    tokens = await startTokens();
    const backlog = {
      ...openBacklog,
      requireRoom() {
        if (isBacklogged) throw problem('outbox_backlog', undefined, { headers: { 'retry-after': '5' } });
      },
    };
    here = await startInstance({ tokens, backlog, onPool: (pool) => spyOn(pool, statements) });
    there = await startInstance({ tokens });
    staff = await makeCaller(tokens, here, { roles: ['staff'] });
    customer = await makeCaller(tokens, here, { tenant_id: staff.tenant_id });
    pizza = await makeProduct(staff);
  });
  after(async () => {
    await here?.stop();
    await there?.stop();
    await tokens?.stop();
  });

  const onePizza = () => ({ items: [{ product_id: pizza.id, quantity: 1 }] });

  it('answers with the order, where it is, and its version', async () => {
    const request = {
      items: [{ product_id: pizza.id, quantity: 2, notes: 'no olives' }],
      notes: 'ring twice',
    };
    const { status, headers, body } = await customer.order(request);
    assert.equal(status, 201);
    assert.equal(headers.get('location'), `/v1/orders/${body.id}`);
    assert.equal(headers.get('etag'), '"1"');
    assert.deepEqual(
      { ...body, id: '', created_at: '', updated_at: '' },
      {
        id: '',
        tenant_id: customer.tenant_id,
        user_id: customer.user_id,
        status: 'pending',
        items: [
          {
            product_id: pizza.id,
            name: pizza.name,
            quantity: 2,
            unit_price: 950,
            line_total: 1900,
            notes: 'no olives',
          },
        ],
        currency: 'EUR',
        subtotal: 1900,
        discount: 0,
        total: 1900,
        promo_code: null,
        notes: 'ring twice',
        version: 1,
        created_at: '',
        updated_at: '',
      },
    );
    assert.deepEqual((await customer.get(`/v1/orders/${body.id}`)).body, body);
  });

  it('is one statement to the database', async () => {
    await customer.order(onePizza());
    statements.length = 0;
    const { status } = await customer.order(onePizza());
    assert.equal(status, 201);
    assert.deepEqual(statements, ['place_order']);
  });

  it('leaves one event, without anything that a customer wrote', async () => {
    const { body } = await customer.order({
      items: [{ product_id: pizza.id, quantity: 1, notes: 'secret one' }],
      notes: 'secret two',
    });
    const { data } = (await customer.get(`/v1/orders/${body.id}/history`)).body;
    assert.equal(data.length, 1);
    assert.equal(data[0].event_type, 'order_created');
    assert.equal(data[0].actor_id, customer.user_id);
    assert.equal(data[0].previous_status, null);
    assert.equal(data[0].order.total, 950);
    assert.doesNotMatch(JSON.stringify(data), /notes|secret/);
  });

  it('asks for an idempotency key', async () => {
    const { status, body } = await customer.post('/v1/orders', onePizza());
    assert.deepEqual([status, body.code], [400, 'malformed']);
  });

  it('gives the first answer again for the same key, on any instance, although the price is another now', async () => {
    const product = await makeProduct(staff, { price: 100 });
    const request = { items: [{ product_id: product.id, quantity: 1 }] };
    const key = randomUUID();
    const first = await customer.order(request, key);
    await staff.patch(`/v1/products/${product.id}`, { available: false, price: 200 });
    for (const instance of [here, there]) {
      const again = await customer.at(instance).order(request, `"${key}"`);
      assert.equal(again.status, 201);
      assert.equal(again.text, first.text);
      assert.equal(again.headers.get('idempotent-replayed'), 'true');
      assert.equal(again.headers.get('location'), first.headers.get('location'));
    }
  });

  it('refuses the same key with another body', async () => {
    const key = randomUUID();
    await customer.order(onePizza(), key);
    const { status, body } = await customer.order({ items: [{ product_id: pizza.id, quantity: 2 }] }, key);
    assert.deepEqual([status, body.code], [422, 'idempotency_key_reused']);
  });

  it('does not mix up the keys of two users, or of two tenants', async () => {
    const key = randomUUID();
    const neighbour = await makeCaller(tokens, here, { tenant_id: staff.tenant_id });
    const foreignStaff = await makeCaller(tokens, here, { roles: ['staff'], user_id: customer.user_id });
    const foreignPizza = await makeProduct(foreignStaff);
    const answers = [
      await customer.order(onePizza(), key),
      await neighbour.order(onePizza(), key),
      await foreignStaff.order({ items: [{ product_id: foreignPizza.id, quantity: 1 }] }, key),
    ];
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers.get('idempotent-replayed')]),
      [201, 201, 201].map((status) => [status, null]),
    );
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 3);
  });

  it('makes one order of fifty twins on two instances', async () => {
    const key = randomUUID();
    const twins = await Promise.all(
      Array.from({ length: 50 }, (_, n) => customer.at(n % 2 === 0 ? here : there).order(onePizza(), key)),
    );
    const answered = twins.filter(({ status }) => status === 201);
    const others = twins.filter(({ status }) => status !== 201);
    assert.equal(new Set(answered.map(({ text }) => text)).size, 1);
    assert.equal(answered.filter(({ headers }) => headers.get('idempotent-replayed') === null).length, 1);
    for (const { status, body } of others)
      assert.deepEqual([status, body.code], [409, 'request_in_progress']);
  });

  it('uses the price of the moment, also where another instance has changed it', async () => {
    const product = await makeProduct(staff, { price: 100 });
    const request = { items: [{ product_id: product.id, quantity: 3 }] };
    assert.equal((await customer.at(there).order(request)).body.total, 300);
    await staff.patch(`/v1/products/${product.id}`, { price: 101 });
    assert.equal((await customer.at(there).order(request)).body.total, 303);
  });

  it('does not sell what is unknown, deleted, sold out or of another tenant, and names the lines', async () => {
    const foreign = await makeProduct(await makeCaller(tokens, here, { roles: ['staff'] }));
    const soldOut = await makeProduct(staff);
    const deleted = await makeProduct(staff);
    const ids = [foreign.id, soldOut.id, deleted.id, randomUUID()];
    assert.equal((await customer.order({ items: [{ product_id: soldOut.id, quantity: 1 }] })).status, 201);
    await staff.patch(`/v1/products/${soldOut.id}`, { available: false });
    await staff.call('DELETE', `/v1/products/${deleted.id}`);
    const items = [pizza.id, ...ids].map((product_id) => ({ product_id, quantity: 1 }));
    for (const path of ['/v1/orders', '/v1/orders/quote']) {
      const { status, body } = await customer.post(path, { items }, { 'idempotency-key': randomUUID() });
      assert.deepEqual([status, body.code], [409, 'not_available']);
      assert.deepEqual(
        body.errors.map(({ path }: { path: string }) => path),
        [1, 2, 3, 4].map((n) => `items.${n}.product_id`),
      );
    }
  });

  it('sells at once what has become available, though the instance knew it as sold out', async () => {
    const product = await makeProduct(staff, { available: false });
    const request = { items: [{ product_id: product.id, quantity: 1 }] };
    assert.equal((await customer.at(there).order(request)).status, 409);
    await staff.patch(`/v1/products/${product.id}`, { available: true });
    assert.equal((await customer.at(there).order(request)).status, 201);
  });

  it('refuses two currencies in one order', async () => {
    const bagel = await makeProduct(staff, { currency: 'USD' });
    const items = [pizza.id, bagel.id].map((product_id) => ({ product_id, quantity: 1 }));
    const { status, body } = await customer.order({ items });
    assert.deepEqual([status, body.code, body.errors[0].path], [422, 'invalid', 'items.1.product_id']);
  });

  it('takes 200 lines, the same product twice among them', async () => {
    const items = Array.from({ length: 200 }, () => ({ product_id: pizza.id, quantity: 1_000 }));
    const { status, body } = await customer.order({ items });
    assert.equal(status, 201);
    assert.equal(body.total, 200 * 1_000 * 950);
  });

  it('is refused while events wait too long, and says when to come back', async () => {
    isBacklogged = true;
    try {
      const { status, body, headers } = await customer.order(onePizza());
      assert.deepEqual([status, body.code, headers.get('retry-after')], [503, 'outbox_backlog', '5']);
      assert.equal((await customer.get('/v1/orders')).status, 200);
    } finally {
      isBacklogged = false;
    }
    assert.equal((await customer.order(onePizza())).status, 201);
  });

  it('leaves nothing, and no event, when it fails inside', async () => {
    const key = randomUUID();
    const left = async () => {
      const { rows } = await owner.query(
        `SELECT (SELECT count(*) FROM orders.order_key WHERE key = $1) AS keys,
                (SELECT count(*) FROM orders.orders WHERE tenant_id = $2) AS orders,
                (SELECT count(*) FROM orders.outbox WHERE tenant_id = $2) AS events`,
        [key, customer.tenant_id],
      );
      return rows[0];
    };
    const owner = ownerPool();
    try {
      const before = await left();
      const order = {
        id: randomUUID(),
        tenant_id: customer.tenant_id,
        user_id: customer.user_id,
        status: 'pending',
        // The quantity breaks a constraint of the items, when key and order are written already.
        items: [{ product_id: pizza.id, name: 'x', quantity: 0, unit_price: 1, line_total: 0, notes: null }],
        currency: 'EUR',
        subtotal: 1,
        discount: 0,
        total: 1,
        promo_code: null,
        notes: null,
        version: 1,
        created_at: '2026-01-01T00:00:00.000Z',
        updated_at: '2026-01-01T00:00:00.000Z',
      } satisfies Order;
      const placement = {
        key,
        requestHash: Buffer.alloc(1),
        order,
        answer: '{}',
        productVersions: [1],
        promotion: undefined,
        event_id: randomUUID(),
        payload: Buffer.alloc(1),
        traceparent: '',
      };
      await assert.rejects(placeOrder(here.pool, placement), { code: '23514' });
      assert.deepEqual(await left(), before);
    } finally {
      await owner.end();
    }
  });
});

/** Writes down the name, or the text, of each statement that the service sends. */
function spyOn(pool: Pool, statements: string[]): void {
  pool.on('connect', (client) => {
    const query = client.query;
    client.query = new Proxy(query, {
      apply(target, self, args: unknown[]) {
        const [config] = args;
        const named =
          typeof config === 'object' && config !== null && 'name' in config ? config.name : config;
        statements.push(String(named));
        return Reflect.apply(target, self, args);
      },
    });
  });
}
