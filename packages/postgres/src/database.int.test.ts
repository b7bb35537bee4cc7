import assert from 'node:assert/strict';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { stack } from '../../../tests/support/stack.ts';
import { createIdempotencyStore } from './idempotency.ts';
import { appendOutbox } from './outbox.ts';
import { maintainOutbox } from './partitions.ts';
import { type Client, inTenant, inTransaction, type Pool } from './pool.ts';
import { ensureSlot, readSlot } from './slot.ts';
import { aRow, partitionsOf, poolOf } from './testing.ts';

describe('the database', function () {
  this.timeout(60_000);
  let admin: pg.Pool;
  let orders: Pool;
  let notifications: Pool;

  before(() => {
    admin = new pg.Pool({ connectionString: stack().databaseUrl, max: 2 });
    orders = poolOf('ragline_orders');
    notifications = poolOf('ragline_notifications');
  });
  after(async () => {
    for (const pool of [admin, orders, notifications]) await pool?.end();
  });

  describe('a connection that Postgres ends', () => {
    const endOf = async (client: Client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      return () => admin.query('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
    };

    it('between two statements of a transaction fails the transaction, and not the process', async () => {
      const work = inTransaction(orders, async (client) => {
        const end = await endOf(client);
        const heard = once(client, 'error');
        await end();
        await heard;
        await client.query('SELECT 1');
      });
      await assert.rejects(work, /connection error/);
      const { rows } = await orders.query<{ one: number }>('SELECT 1 AS one');
      assert.deepEqual(rows, [{ one: 1 }]);
    });

    it('within a statement fails that statement, and not the process', async () => {
      const work = inTransaction(orders, async (client) => {
        const end = await endOf(client);
        await Promise.all([client.query('SELECT pg_sleep(60)'), end()]);
      });
      await assert.rejects(work, { code: '57P01' });
    });
  });

  describe('outbox partitions', () => {
    it('are there for this month and three more', async () => {
      await maintainOutbox(orders, 'orders');
      const now = new Date();
      const wanted = [0, 1, 2, 3].map((ahead) =>
        partitionName(now.getUTCFullYear(), now.getUTCMonth() + ahead),
      );
      const names = await partitionsOf(admin, 'orders');
      assert.deepEqual(
        wanted.filter((name) => !names.includes(name)),
        [],
      );
    });

    it('are made once, however many instances start together', async () => {
      const twice = await Promise.all([1, 2, 3].map(() => maintainOutbox(orders, 'orders')));
      assert.deepEqual(
        twice,
        [1, 2, 3].map(() => ({ made: [], dropped: [] })),
      );
    });

    it('are dropped when all of their month is past its retention, and not before', async () => {
      const { schema, pool, end } = await scratchOutbox();
      try {
        const now = new Date();
        const monthsAgo = (months: number) => partitionName(now.getUTCFullYear(), now.getUTCMonth() - months);
        for (const months of [1, 2, 3, 4]) await addPartition(schema, monthsAgo(months), months);
        const { rows } = await pool.query<{ made: string[]; dropped: string[] }>(
          'SELECT made, dropped FROM ops.maintain_outbox($1, 2, 2)',
          [schema],
        );
        assert.deepEqual(rows[0]?.dropped, [monthsAgo(4), monthsAgo(3)]);
        assert.deepEqual(
          (await partitionsOf(admin, schema)).filter((name) => name < monthsAgo(0)),
          [monthsAgo(2), monthsAgo(1)],
        );
      } finally {
        await end();
      }
    });

    it("are nobody's business but their service's", async () => {
      await assert.rejects(maintainOutbox(notifications, 'orders'), /does not write to|permission denied/);
    });
  });

  describe('the inbox', () => {
    const group = `test-${randomUUIDv7()}`;
    const close = async (pool: Pool, groupId: string, ids: string[]) => {
      const { rows } = await pool.query<{ id: string }>('SELECT id FROM streams.close_inbox($1, $2) AS id', [
        groupId,
        ids,
      ]);
      return rows.map(({ id }) => id);
    };

    it('takes an id once, also when it comes twice in one batch', async () => {
      assert.deepEqual(await close(notifications, group, ['b', 'a', 'b']), ['a', 'b']);
      assert.deepEqual(await close(notifications, group, ['b', 'c']), ['c']);
    });

    it('lets two owners who overlap take turns, in whatever order they name the ids', async () => {
      const ids = Array.from({ length: 200 }, () => randomUUIDv7());
      const taken = await Promise.all(
        [ids, ids.toReversed(), ids].map((some) => close(notifications, group, some)),
      );
      assert.deepEqual(taken.flat().sort(), ids.toSorted());
    });

    it('is closed to a role that does not consume as the group', async () => {
      await assert.rejects(close(orders, 'notifications', ['x']), /does not consume as group/);
    });
  });

  describe('idempotency', () => {
    const user = randomUUIDv7();
    const entry = (tenant: string, changes = {}) => ({
      tenant_id: tenant,
      user_id: user,
      key: 'k',
      request_hash: 'h',
      ...changes,
    });

    it('runs once, replays the first answer, and refuses the key to another request', async () => {
      const store = createIdempotencyStore(orders, 'orders');
      const tenant = randomUUIDv7();
      const answer = { status: 201, headers: { location: '/x' }, body: { b: 1, a: ['\u0000'] } };
      assert.deepEqual(await store.once(entry(tenant), async () => answer), { state: 'first', answer });
      const again = await store.once(entry(tenant), () => assert.fail('ran again'));
      assert.equal(JSON.stringify(again), JSON.stringify({ state: 'replayed', answer }));
      assert.deepEqual(await store.once(entry(tenant, { request_hash: 'other' }), () => assert.fail()), {
        state: 'reused',
      });
      assert.equal((await store.once(entry(randomUUIDv7()), async () => answer)).state, 'first');
    });

    it('tells a twin at the same moment that it is one, and forgets what failed', async () => {
      const store = createIdempotencyStore(orders, 'orders');
      const tenant = randomUUIDv7();
      const failing = store.once(entry(tenant), async () => {
        assert.deepEqual(await store.once(entry(tenant), () => assert.fail()), { state: 'in_progress' });
        throw new Error('failed');
      });
      await assert.rejects(failing, /failed/);
      const answer = { status: 201, body: null };
      assert.equal((await store.once(entry(tenant), async () => answer)).state, 'first');
    });
  });

  describe('the replication slot', () => {
    it('is there, read by the connector, and tells a plain role its lag', async () => {
      const slot = await readSlot(orders);
      assert.ok(slot && slot.cap_bytes !== null && slot.cap_bytes > 0);
      assert.ok(slot.lag_bytes >= 0 && slot.lag_bytes < slot.cap_bytes);
      assert.equal(await ensureSlot({ databaseUrl: stack().databaseUrl }), false);
      assert.equal(await readSlot(orders, 'no_such_slot'), undefined);
    });

    it('is not made silently once there are events', async () => {
      const tenant = randomUUIDv7();
      await inTenant(orders, tenant, (client) => appendOutbox(client, 'orders', [aRow(tenant)]));
      const making = ensureSlot({ databaseUrl: stack().databaseUrl, name: 'test_never_made' });
      await assert.rejects(making, { code: 'slot_missing' });
    });
  });

  /** An outbox in a schema of its own, in nobody's publication. */
  async function scratchOutbox() {
    const schema = `test_${randomBytes(6).toString('hex')}`;
    await admin.query(`CREATE SCHEMA ${schema}; GRANT USAGE ON SCHEMA ${schema} TO ragline_orders`);
    await admin.query('SELECT ops.create_outbox($1, $2)', [schema, 'ragline_orders']);
    return { schema, pool: orders, end: () => admin.query(`DROP SCHEMA ${schema} CASCADE`) };
  }

  async function addPartition(schema: string, name: string, monthsAgo: number): Promise<void> {
    const month = `date_trunc('month', now() AT TIME ZONE 'UTC') - interval '${monthsAgo} months'`;
    const { rows } = await admin.query<{ first: string; next: string }>(
      `SELECT (${month})::text || '+00' AS first, (${month} + interval '1 month')::text || '+00' AS next`,
    );
    await admin.query(
      `CREATE TABLE ${schema}.${name} PARTITION OF ${schema}.outbox FOR VALUES FROM ('${rows[0]?.first}') TO ('${rows[0]?.next}')`,
    );
  }
});

function partitionName(year: number, month: number): string {
  return `outbox_${new Date(Date.UTC(year, month, 1)).toISOString().slice(0, 7).replace('-', '_')}`;
}
