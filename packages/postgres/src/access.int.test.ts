import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { stack } from '../../../tests/support/stack.ts';
import { appendOutbox } from './outbox.ts';
import { inTenant, inTransaction, type Pool } from './pool.ts';
import { ensureRoles } from './roles.ts';
import { aRow, partitionsOf, poolOf } from './testing.ts';

const roles = [
  'ragline_identity',
  'ragline_orders',
  'ragline_notifications',
  'ragline_dead_letters',
  'ragline_chat',
];

describe('who may see what in the database', function () {
  this.timeout(60_000);
  let admin: pg.Pool;
  let orders: Pool;
  let notifications: Pool;
  let deadLetters: Pool;
  let chat: Pool;

  before(() => {
    admin = new pg.Pool({ connectionString: stack().databaseUrl, max: 2 });
    orders = poolOf('ragline_orders');
    notifications = poolOf('ragline_notifications');
    deadLetters = poolOf('ragline_dead_letters');
    chat = poolOf('ragline_chat');
  });
  after(async () => {
    for (const pool of [admin, orders, notifications, deadLetters, chat]) await pool?.end();
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
        [deadLetters, 'SELECT FROM orders.outbox'],
        [deadLetters, 'SELECT FROM streams.parked_record'],
        [deadLetters, 'DELETE FROM streams.inbox'],
        [deadLetters, 'UPDATE dead_letters.action SET verb = verb'],
        [deadLetters, 'DELETE FROM dead_letters.action'],
        [notifications, 'SELECT FROM dead_letters.letter'],
        [notifications, 'SELECT FROM streams.parked_record'],
        [notifications, 'SELECT streams.discard_parked(NULL, ARRAY[1])'],
        [chat, 'SELECT FROM orders.outbox'],
        [chat, 'SELECT FROM identity.user_account'],
        [chat, 'SELECT FROM streams.parked_record'],
        [chat, 'SELECT streams.discard_parked(NULL, ARRAY[1])'],
        [chat, 'UPDATE chat.outbox SET type = type'],
        [chat, 'CREATE TABLE chat.mine ()'],
        [notifications, 'SELECT FROM chat.conversation'],
        [deadLetters, 'SELECT FROM chat.message'],
        [orders, 'SELECT FROM chat.document'],
        [orders, "SELECT streams.fate(ARRAY[1::bigint], ARRAY['notifications'], ARRAY['x'])"],
      ] as const) {
        await assert.rejects(pool.query(statement), /permission denied/, statement);
      }
    });

    it('cannot reach around the outbox into its partitions', async () => {
      const [partition] = await partitionsOf(admin, 'orders');
      await assert.rejects(orders.query(`SELECT FROM orders.${partition}`), /permission denied/);
    });

    it('are plain, and stay so when they are ensured again', async () => {
      const cluster = stack();
      const passwordOf = (role: string) => decodeURIComponent(new URL(cluster.databaseUrlOf(role)).password);
      const passwords = {
        ragline_identity: passwordOf('ragline_identity'),
        ragline_orders: passwordOf('ragline_orders'),
        ragline_notifications: passwordOf('ragline_notifications'),
        ragline_dead_letters: passwordOf('ragline_dead_letters'),
        ragline_chat: passwordOf('ragline_chat'),
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

  describe('functions', () => {
    it("are nobody's unless granted, and those with the rights of their owner name where they look", async () => {
      const { rows } = await admin.query<{ name: string }>(
        `SELECT p.oid::regprocedure::text AS name FROM pg_proc p
          WHERE p.pronamespace::regnamespace::text IN ('ops', 'streams', 'identity', 'orders', 'notifications', 'dead_letters', 'chat')
            AND (has_function_privilege('public', p.oid, 'EXECUTE')
              OR p.prosecdef AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%'))`,
      );
      assert.deepEqual(
        rows.map(({ name }) => name),
        [],
      );
    });
  });

  describe('row-level security', () => {
    it('is on, forced and has a policy for every table with a tenant_id', async () => {
      const { rows } = await admin.query<{ table: string }>(
        `SELECT c.oid::regclass::text AS table FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
          WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN ('identity', 'orders', 'notifications', 'dead_letters', 'chat')
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND (c.relispartition OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)))`,
      );
      assert.deepEqual(
        rows.map(({ table }) => table),
        [],
      );
    });

    it('shows each role, in every table that it may read, the rows of the tenant that was set and no others', async () => {
      for (const role of roles) {
        const pool = poolOf(role, 2);
        try {
          const tables = await tenantTablesOf(pool);
          assert.ok(tables.length > 0);
          const known = await admin.query<{ id: string }>('SELECT id FROM identity.tenant LIMIT 5');
          const tenants = [randomUUIDv7(), ...known.rows.map(({ id }) => id)];
          await fc.assert(
            fc.asyncProperty(
              fc.constantFrom(...tables),
              fc.constantFrom('', ...tenants),
              async (table, said) => {
                const foreign = await inTransaction(pool, async (client) => {
                  await client.query("SELECT set_config('ragline.tenant_id', $1, true)", [said]);
                  return client.query(
                    `SELECT FROM ${table} WHERE tenant_id::text IS DISTINCT FROM $1 LIMIT 1`,
                    [said],
                  );
                });
                assert.equal(foreign.rowCount, 0, `${role} sees another tenant's rows of ${table}`);
              },
            ),
            { numRuns: 60 },
          );
        } finally {
          await pool.end();
        }
      }
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
      const one = poolOf('ragline_orders', 1);
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
});

/** Whatever has a tenant_id and may be read by the pool's role. */
async function tenantTablesOf(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
      WHERE c.relkind IN ('r', 'p', 'v') AND c.relnamespace::regnamespace::text IN ('identity', 'orders', 'notifications', 'dead_letters', 'chat', 'streams')
        AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')`,
  );
  return rows.map(({ name }) => name);
}
