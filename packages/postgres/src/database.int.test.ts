import assert from 'node:assert/strict';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { stack } from '../../../tests/support/stack.ts';
import { createIdempotencyStore } from './idempotency.ts';
import { appendOutbox, type OutboxRow } from './outbox.ts';
import { maintainOutbox } from './partitions.ts';
import { createPool, inTenant, inTransaction, type Pool } from './pool.ts';
import { ensureRoles } from './roles.ts';
import { ensureSlot, readSlot } from './slot.ts';

const log = createLogger({ service: 'test', level: 'error' });

describe('the database', function () {
  this.timeout(60_000);
  let admin: pg.Pool;
  let orders: Pool;
  let notifications: Pool;

  before(() => {
    const { databaseUrl, databaseUrlOf } = stack();
    const open = (role: string) =>
      createPool({
        url: databaseUrlOf(role),
        max: 8,
        applicationName: `test-${role}`,
        log,
        metrics: createMetrics({ service: 'test' }),
      });
    admin = new pg.Pool({ connectionString: databaseUrl, max: 2 });
    orders = open('ragline_orders');
    notifications = open('ragline_notifications');
  });
  after(async () => {
    for (const pool of [admin, orders, notifications]) await pool?.end();
  });

  describe('outbox partitions', () => {
    it('are there for this month and three more', async () => {
      await maintainOutbox(orders, 'orders');
      const now = new Date();
      const wanted = [0, 1, 2, 3].map((ahead) =>
        partitionName(now.getUTCFullYear(), now.getUTCMonth() + ahead),
      );
      const names = await partitions('orders');
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
          (await partitions(schema)).filter((name) => name < monthsAgo(0)),
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

  describe('roles', () => {
    it("cannot read each other's tables, nor change what was published", async () => {
      for (const [pool, statement] of [
        [orders, 'SELECT FROM identity.outbox'],
        [orders, 'SELECT FROM notifications.idempotency'],
        [notifications, 'SELECT FROM orders.outbox'],
        [notifications, 'SELECT FROM streams.inbox'],
        [orders, 'UPDATE orders.outbox SET type = type'],
        [orders, 'DELETE FROM orders.outbox'],
        [orders, 'CREATE TABLE orders.mine ()'],
        [orders, 'CREATE TABLE public.mine ()'],
        [orders, "SELECT ops.create_outbox('orders', 'ragline_orders')"],
        [orders, 'SET ROLE ragline_notifications'],
      ] as const) {
        await assert.rejects(pool.query(statement), /permission denied/, statement);
      }
    });

    it('cannot reach around the outbox into its partitions', async () => {
      const [partition] = await partitions('orders');
      await assert.rejects(orders.query(`SELECT FROM orders.${partition}`), /permission denied/);
    });

    it('are plain, and stay so when they are ensured again', async () => {
      const cluster = stack();
      const passwordOf = (role: string) => decodeURIComponent(new URL(cluster.databaseUrlOf(role)).password);
      const passwords = {
        ragline_identity: passwordOf('ragline_identity'),
        ragline_orders: passwordOf('ragline_orders'),
        ragline_notifications: passwordOf('ragline_notifications'),
        ragline_cdc: passwordOf('ragline_cdc'),
        ragline_registry: passwordOf('ragline_registry'),
      };
      await ensureRoles({ databaseUrl: cluster.databaseUrl, passwords });
      const client = new pg.Client({ connectionString: cluster.databaseUrlOf('ragline_orders') });
      await client.connect();
      await client.end();
      const { rows } = await admin.query(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'ragline\\_%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)",
      );
      assert.deepEqual(rows, []);
      const replicating = await admin.query<{ rolname: string }>(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'ragline\\_%' AND rolreplication",
      );
      assert.deepEqual(
        replicating.rows.map(({ rolname }) => rolname),
        ['ragline_cdc'],
      );
    });
  });

  describe('row-level security', () => {
    it('is on, forced and has a policy for every table with a tenant_id', async () => {
      const { rows } = await admin.query<{ table: string }>(
        `SELECT c.oid::regclass::text AS table FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
          WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN ('identity', 'orders', 'notifications')
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND (c.relispartition OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)))`,
      );
      assert.deepEqual(
        rows.map(({ table }) => table),
        [],
      );
    });

    it("shows a tenant its own events, and nobody's to who has not said which tenant", async () => {
      const [mine, others] = [randomUUIDv7(), randomUUIDv7()];
      for (const tenant of [mine, others]) {
        await inTenant(orders, tenant, (client) => appendOutbox(client, 'orders', [aRow(tenant)]));
      }
      const seen = await inTenant(orders, mine, (client) =>
        client.query('SELECT DISTINCT tenant_id FROM orders.outbox'),
      );
      assert.deepEqual(seen.rows, [{ tenant_id: mine }]);
      const unset = await orders.query('SELECT FROM orders.outbox');
      assert.equal(unset.rowCount, 0);
    });

    it('refuses to write for another tenant, whatever tenants and settings there are', async () => {
      const uuid = fc.constantFrom(...Array.from({ length: 4 }, () => randomUUIDv7()));
      const setting = fc.option(uuid, { nil: '' });
      await fc.assert(
        fc.asyncProperty(setting, uuid, async (said, owner) => {
          const writing = inTransaction(orders, async (client) => {
            await client.query("SELECT set_config('ragline.tenant_id', $1, true)", [said]);
            await appendOutbox(client, 'orders', [aRow(owner)]);
          });
          if (said === owner) await writing;
          else await assert.rejects(writing, /row-level security/);
        }),
        { numRuns: 40 },
      );
    });

    it('forgets the tenant with the transaction: the next user of the connection has none', async () => {
      const one = createPool({
        url: stack().databaseUrlOf('ragline_orders'),
        max: 1,
        applicationName: 'test-one',
        log,
        metrics: createMetrics({ service: 'test' }),
      });
      try {
        const tenant = randomUUIDv7();
        await inTenant(one, tenant, (client) => appendOutbox(client, 'orders', [aRow(tenant)]));
        await assert.rejects(
          inTenant(one, tenant, async () => {
            throw new Error('no');
          }),
          /no/,
        );
        assert.equal((await one.query('SELECT FROM orders.outbox')).rowCount, 0);
      } finally {
        await one.end();
      }
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

  async function partitions(schema: string): Promise<string[]> {
    const { rows } = await admin.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
        WHERE inhparent = format('%I.outbox', $1::text)::regclass ORDER BY 1`,
      [schema],
    );
    return rows.map(({ name }) => name);
  }

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

/** A row to a topic that nobody reads events from, so that a shared stack is not disturbed. */
function aRow(tenantId: string): OutboxRow {
  return {
    id: randomUUIDv7(),
    topic: '_connect.heartbeat.ragline',
    key: 'test',
    event_type: 'tested',
    tenant_id: tenantId,
    user_id: '',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    payload: Buffer.from('test'),
  };
}
