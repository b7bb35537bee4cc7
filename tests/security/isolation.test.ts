/** Tenants and customers see their own and nothing else: over REST, sockets and resumes. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { before, describe, it } from 'mocha';
import { eventually } from '../support/eventually.ts';
import { http, openSocket, placeOrder, tokenOf } from './scene.ts';

const users = [
  'customer@demo',
  'staff@demo',
  'admin@demo',
  'customer@acme',
  'staff@acme',
  'admin@acme',
  'operator@ragline',
] as const;
type User = (typeof users)[number];

const tenantOf = (user: string) => user.split('@')[1];
const isStaff = (user: User) => user.startsWith('staff') || user.startsWith('admin');

/** The rule, once more and in one line: one's own, or as staff one's tenant's. */
const maySee = (user: User, owner: User) =>
  tenantOf(user) === tenantOf(owner) && (user === owner || isStaff(user));

const owners = ['customer@demo', 'customer@acme', 'staff@demo', 'staff@acme'] as const;

describe('tenant isolation', function () {
  this.timeout(120_000);
  const placed = new Map<User, string>();

  before(async () => {
    for (const owner of owners) placed.set(owner, (await placeOrder(owner)).id);
  });

  const anyUser = fc.constantFrom(...users);
  const anyOwner = fc.constantFrom(...owners);
  const idOf = (owner: User) => placed.get(owner) ?? '';

  it('holds for every way to an order over REST', async () => {
    const ways: [string, (id: string) => [string, string, object?]][] = [
      ['reading', (id) => ['GET', `/v1/orders/${id}`]],
      ['its history', (id) => ['GET', `/v1/orders/${id}/history`]],
      ['moving it', (id) => ['POST', `/v1/orders/${id}/status`, { status: 'pending' }]],
      ['cancelling it', (id) => ['POST', `/v1/orders/${id}/cancel`, { reason: 1 }]],
    ];
    await fc.assert(
      fc.asyncProperty(anyUser, anyOwner, fc.constantFrom(...ways), async (user, owner, [, way]) => {
        const [method, path, body] = way(idOf(owner));
        const answer = await http(method, path, { token: await tokenOf(user), ...(body ? { body } : {}) });
        if (maySee(user, owner)) assert.notEqual(answer.status, 404, `${user} ${method} ${path}`);
        else
          assert.ok([403, 404, 422].includes(answer.status), `${user} ${method} ${path}: ${answer.status}`);
        if (!maySee(user, owner)) assert.ok(!answer.text.includes('"items"'));
      }),
      { numRuns: 60 },
    );
  });

  it('holds for lists, whatever is asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyUser,
        fc.constantFrom(
          '',
          '?limit=200',
          '?status=pending',
          '?tenant_id=x',
          '?user_id=x',
          '?from=2000-01-01T00:00:00.000Z',
        ),
        async (user, query) => {
          const answer = await http('GET', `/v1/orders${query}`, { token: await tokenOf(user) });
          const ids: string[] = answer.body?.data?.map(({ id }: { id: string }) => id) ?? [];
          for (const owner of owners) {
            if (!maySee(user, owner)) assert.ok(!ids.includes(idOf(owner)), `${user} sees ${owner}'s order`);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it("finds another tenant's products nowhere", async () => {
    const own = await http('GET', '/v1/products?limit=5', { token: await tokenOf('staff@demo') });
    for (const { id } of own.body.data) {
      const answer = await http('GET', `/v1/products/${id}`, { token: await tokenOf('staff@acme') });
      assert.equal(answer.status, 404);
    }
  });

  it('holds for sockets: each is told of what it may see, and of nothing else', async () => {
    const sockets = await Promise.all(
      users
        .filter((user) => user !== 'operator@ragline')
        .map(async (user) => ({ user, ...(await openSocket(user)) })),
    );
    try {
      for (const socket of sockets) socket.send({ type: 'subscribe', id: '1', channel: 'orders' });
      await eventually(() => {
        for (const { messages } of sockets)
          assert.ok(messages.some(({ type, id }) => type === 'ok' && id === '1'));
      });
      const orders = await Promise.all(
        owners.map(async (owner) => ({ owner, id: (await placeOrder(owner)).id })),
      );
      await eventually(
        () => {
          for (const { user, ...socket } of sockets) {
            const due = orders.filter(({ owner }) => maySee(user, owner)).map(({ id }) => id);
            assert.deepEqual(
              due.filter((id) => !socket.orders().includes(id)),
              [],
            );
          }
        },
        { withinMs: 30_000 },
      );
      for (const { user, ...socket } of sockets) {
        for (const { owner, id } of orders) {
          if (!maySee(user, owner))
            assert.ok(!socket.orders().includes(id), `${user} was told of ${owner}'s order`);
        }
      }
    } finally {
      for (const socket of sockets) socket.close();
    }
  });

  it("carries no rights in a cursor: another's resumes one's own events only", async () => {
    const staff = await openSocket('staff@demo');
    staff.send({ type: 'subscribe', id: '1', channel: 'orders' });
    await eventually(() => assert.ok(staff.messages.some(({ type }) => type === 'ok')));
    const first = await placeOrder('customer@demo');
    await eventually(() => assert.ok(staff.orders().includes(first.id)), { withinMs: 30_000 });
    const cursor = staff.messages.findLast(({ type }) => type === 'event')?.cursor;
    assert.ok(cursor);
    const [demo, acme] = [await placeOrder('customer@demo'), await placeOrder('customer@acme')];
    const other = await openSocket('customer@acme');
    try {
      other.send({ type: 'subscribe', id: '1', channel: 'orders', since: cursor });
      await eventually(() => assert.ok(other.orders().includes(acme.id)), { withinMs: 30_000 });
      assert.ok(!other.orders().includes(demo.id));
      assert.equal(new Set(other.orders()).size, other.orders().length);
    } finally {
      staff.close();
      other.close();
    }
  });

  it("does not tell that another's order exists on its own channel", async () => {
    const socket = await openSocket('customer@acme');
    socket.send({ type: 'subscribe', id: 'a', channel: `orders:${idOf('customer@demo')}` });
    socket.send({ type: 'subscribe', id: 'b', channel: 'orders:019a0000-0000-7000-8000-00000000ffff' });
    const codeOf = (id: string) => socket.messages.find((it) => it.type === 'error' && it.id === id)?.code;
    await eventually(() => {
      assert.equal(codeOf('a'), 'not_found');
      assert.equal(codeOf('b'), 'not_found');
    });
    socket.close();
  });

  it('gives an operator no orders, and others no view of the system', async () => {
    assert.notEqual(
      (await http('GET', `/v1/orders/${idOf('customer@demo')}`, { token: await tokenOf('operator@ragline') }))
        .status,
      200,
    );
    for (const user of users) {
      const { status } = await http('GET', '/v1/system', { token: await tokenOf(user) });
      assert.equal(status, user === 'operator@ragline' ? 200 : 403, user);
    }
    assert.equal((await http('GET', '/v1/system')).status, 401);
  });
});
