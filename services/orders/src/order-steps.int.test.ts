import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { startTokens } from '../../../tests/support/tokens.ts';
import {
  type Caller,
  type Instance,
  makeCaller,
  makeProduct,
  ownerPool,
  startInstance,
  type Tokens,
} from './orders.support.ts';

describe('an order on its way', () => {
  let tokens: Tokens;
  let here: Instance;
  let there: Instance;
  let staff: Caller;
  let customer: Caller;
  let pizza: { id: string };

  before(async () => {
    tokens = await startTokens();
    here = await startInstance({ tokens, position: () => 'a-cursor' });
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

  const place = async (by: Caller = customer) => {
    const { status, body } = await by.order({
      items: [{ product_id: pizza.id, quantity: 1, notes: 'hot' }],
      notes: 'x',
    });
    assert.equal(status, 201);
    return body;
  };
  const step = (id: string, status: string, headers: Record<string, string> = {}) =>
    staff.post(`/v1/orders/${id}/status`, { status }, headers);

  it('goes from pending to completed and back for a while, and its history tells every step', async () => {
    const { id } = await place();
    const steps = [
      'confirmed',
      'preparing',
      'ready',
      'preparing',
      'ready',
      'completed',
      'ready',
      'completed',
    ];
    for (const [index, status] of steps.entries()) {
      const answer = await step(id, status);
      assert.deepEqual([answer.status, answer.body.status, answer.body.version], [200, status, index + 2]);
      assert.equal(answer.headers.get('etag'), `"${index + 2}"`);
    }
    const { data } = (await customer.get(`/v1/orders/${id}/history`)).body;
    const told = data.map((event: Record<string, string> & { order: Record<string, unknown> }) => [
      event.event_type,
      event.previous_status,
      event.order.status,
      event.order.version,
      event.actor_id,
    ]);
    const all = ['pending', ...steps];
    assert.deepEqual(told, [
      ['order_created', null, 'pending', 1, customer.user_id],
      ...steps.map((status, n) => ['order_status_changed', all[n], status, n + 2, staff.user_id]),
    ]);
    assert.doesNotMatch(JSON.stringify(data), /notes|hot/);
  });

  it('is leafed through in its history by pages', async () => {
    const { id } = await place();
    for (const status of ['confirmed', 'preparing', 'ready']) await step(id, status);
    const first = await customer.get(`/v1/orders/${id}/history?limit=3`);
    const rest = await customer.get(`/v1/orders/${id}/history?limit=3&cursor=${first.body.next_cursor}`);
    const versions = [...first.body.data, ...rest.body.data].map(({ order }) => order.version);
    assert.deepEqual([versions, rest.body.next_cursor], [[1, 2, 3, 4], null]);
  });

  it('cannot be recalled once 15 minutes have passed', async () => {
    const { id } = await place();
    for (const status of ['confirmed', 'preparing', 'ready', 'completed']) await step(id, status);
    const owner = ownerPool();
    try {
      await owner.query(
        "UPDATE orders.orders SET completed_at = completed_at - interval '15 minutes' WHERE id = $1",
        [id],
      );
    } finally {
      await owner.end();
    }
    const { status, body } = await step(id, 'ready');
    assert.deepEqual([status, body.code], [409, 'illegal_transition']);
  });

  it('is cancelled by its customer while it is pending, with a reason that no event tells', async () => {
    const { id } = await place();
    const answer = await customer.post(`/v1/orders/${id}/cancel`, { reason: 'a secret' });
    assert.deepEqual([answer.status, answer.body.status], [200, 'cancelled']);
    const { data } = (await staff.get(`/v1/orders/${id}/history`)).body;
    assert.deepEqual([data[1].event_type, data[1].previous_status], ['order_cancelled', 'pending']);
    assert.doesNotMatch(JSON.stringify(data), /secret|reason/);
    assert.equal((await customer.post(`/v1/orders/${id}/cancel`, {})).body.code, 'illegal_transition');
  });

  it('is cancelled by staff until it is ready, and by its customer not once it is confirmed', async () => {
    const { id } = await place();
    await step(id, 'confirmed');
    assert.equal((await customer.post(`/v1/orders/${id}/cancel`, {})).body.code, 'illegal_transition');
    const other = await place();
    for (const status of ['confirmed', 'preparing']) await step(other.id, status);
    assert.equal((await staff.call('POST', `/v1/orders/${other.id}/cancel`)).status, 200);
    const third = await place();
    for (const status of ['confirmed', 'preparing', 'ready']) await step(third.id, status);
    assert.equal((await staff.call('POST', `/v1/orders/${third.id}/cancel`)).body.code, 'illegal_transition');
  });

  it('takes exactly one of many equal steps at once', async () => {
    const { id } = await place();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        staff.at(n % 2 ? here : there).post(`/v1/orders/${id}/status`, { status: 'confirmed' }),
      ),
    );
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    for (const { status, body } of answers.filter(({ status }) => status !== 200)) {
      assert.deepEqual([status, body.code], [409, 'illegal_transition']);
    }
    assert.equal((await staff.get(`/v1/orders/${id}/history`)).body.data.length, 2);
  });

  it('takes exactly one of many steps that name the same version', async () => {
    const { id } = await place();
    const answers = await Promise.all(
      ['confirmed', 'cancelled', 'confirmed', 'cancelled'].map((status, n) =>
        staff.at(n % 2 ? here : there).post(`/v1/orders/${id}/status`, { status }, { 'if-match': '"1"' }),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 412, 412, 412]);
  });

  it('is moved by staff alone', async () => {
    const { id } = await place();
    const { status, body } = await customer.post(`/v1/orders/${id}/status`, { status: 'confirmed' });
    assert.deepEqual([status, body.code], [403, 'forbidden']);
  });

  it('is not there for other customers, other tenants and operators', async () => {
    const { id } = await place();
    const neighbour = await makeCaller(tokens, here, { tenant_id: staff.tenant_id });
    const foreign = await makeCaller(tokens, here, { roles: ['admin'] });
    const operator = await makeCaller(tokens, here, { tenant_id: staff.tenant_id, roles: ['operator'] });
    for (const path of [`/v1/orders/${id}`, `/v1/orders/${id}/history`]) {
      for (const caller of [neighbour, foreign])
        assert.equal((await caller.get(path)).body.code, 'not_found');
      assert.equal((await operator.get(path)).status, 403);
    }
    for (const caller of [neighbour, foreign]) {
      assert.equal((await caller.post(`/v1/orders/${id}/cancel`, {})).body.code, 'not_found');
      assert.deepEqual((await caller.get('/v1/orders')).body.data, []);
    }
    assert.equal(
      (await foreign.post(`/v1/orders/${id}/status`, { status: 'confirmed' })).body.code,
      'not_found',
    );
    assert.equal((await operator.get('/v1/orders')).status, 403);
    assert.equal((await staff.get('/v1/orders/not-a-uuid')).body.code, 'not_found');
  });

  it('comes with the place in the stream from which a subscription misses nothing', async () => {
    const { id } = await place();
    for (const path of ['/v1/orders', `/v1/orders/${id}`]) {
      assert.equal((await customer.get(path)).headers.get('stream-position'), 'a-cursor');
      assert.equal((await customer.at(there).get(path)).headers.get('stream-position'), null);
    }
  });

  it('is listed with the others, the newest first, by pages, status and time', async () => {
    const own = await makeCaller(tokens, here, { roles: ['staff'] });
    const { id: product_id } = await makeProduct(own);
    const buyers = [
      await makeCaller(tokens, here, own),
      await makeCaller(tokens, here, { tenant_id: own.tenant_id }),
    ];
    const ids: string[] = [];
    for (let n = 0; n < 9; n++) {
      const { body } = await (buyers[n % 2] ?? own).order({
        items: [{ product_id, quantity: 1 }],
      });
      ids.unshift(body.id);
    }
    const listed = async (caller: Caller, query: string) =>
      (await caller.get(`/v1/orders?${query}`)).body.data.map(({ id }: { id: string }) => id);

    const pages: string[] = [];
    let cursor = '';
    do {
      const { body } = await own.get(`/v1/orders?limit=4${cursor && `&cursor=${cursor}`}`);
      pages.push(...body.data.map(({ id }: { id: string }) => id));
      cursor = body.next_cursor;
    } while (cursor);
    assert.deepEqual(pages, ids);
    const second = buyers[1];
    assert.ok(second);
    assert.deepEqual(
      await listed(second, ''),
      ids.filter((_, n) => n % 2 === 1),
    );

    const middle = (await own.get(`/v1/orders/${ids[4]}`)).body;
    await own.post(`/v1/orders/${ids[4]}/status`, { status: 'confirmed' });
    assert.deepEqual(await listed(own, 'status=confirmed'), [ids[4]]);
    assert.deepEqual(await listed(own, 'status=completed'), []);
    const from = await listed(own, `from=${middle.created_at}`);
    const to = await listed(own, `to=${middle.created_at}`);
    assert.ok(from.includes(ids[4]) && !to.includes(ids[4]));
    assert.equal(from.length + to.length, 9);
    assert.deepEqual(await listed(own, 'from=2099-01-01T00:00:00Z'), []);
    assert.deepEqual(await listed(own, 'to=0001-01-01T00:00:00Z'), []);
  });

  it('can be traced by its event: staff in their tenant, the operator everywhere', async () => {
    const { id } = await place();
    const { data } = (await customer.get(`/v1/orders/${id}/history`)).body;
    const path = `/internal/trace/${data[0].event_id}`;
    const operator = await makeCaller(tokens, here, { roles: ['operator'] });
    for (const caller of [staff, operator]) {
      const { status, body } = await caller.get(path);
      assert.equal(status, 200);
      assert.equal(body.order_id, id);
      assert.match(body.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
      assert.ok(Date.parse(body.occurred_at) <= Date.parse(body.committed_at) + 1_000);
    }
    const foreign = await makeCaller(tokens, here, { roles: ['admin'] });
    assert.equal((await foreign.get(path)).status, 404);
    assert.equal((await customer.get(path)).status, 403);
    assert.equal((await staff.get(`/internal/trace/${randomUUID()}`)).status, 404);
  });
});
