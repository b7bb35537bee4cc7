import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import fc from 'fast-check';
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

const tables = [
  'product',
  'catalogue',
  'promotion',
  'orders',
  'order_item',
  'order_key',
  'idempotency',
  'outbox',
];

describe('the rows of a tenant', () => {
  let tokens: Tokens;
  let instance: Instance;
  let owner: Pool;
  let tenants: Caller[];

  before(async () => {
    tokens = await startTokens();
    instance = await startInstance({ tokens });
    owner = ownerPool();
    tenants = [];
    for (let n = 0; n < 3; n++) {
      const staff = await makeCaller(tokens, instance, { roles: ['staff'] });
      const { id } = await makeProduct(staff);
      await staff.post(
        '/v1/promotions',
        { code: 'X', kind: 'amount', value: 1 },
        { 'idempotency-key': randomUUID() },
      );
      await staff.order({ items: [{ product_id: id, quantity: 1 }], promo_code: 'X' });
      tenants.push(staff);
    }
  });
  after(async () => {
    await instance?.stop();
    await owner?.end();
    await tokens?.stop();
  });

  const tenantsIn = async (pool: { query: Pool['query'] }, table: string): Promise<string[]> => {
    const { rows } = await pool.query<{ tenant_id: string }>(
      `SELECT DISTINCT tenant_id FROM orders.${table}`,
    );
    return rows.map(({ tenant_id }) => tenant_id);
  };

  it('are all behind a policy that also holds for the owner', async () => {
    const { rows } = await owner.query<{ relname: string }>(
      `SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
       WHERE c.relnamespace = 'orders'::regnamespace AND c.relkind IN ('r', 'p')
         AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`,
    );
    assert.deepEqual(rows, []);
  });

  for (const table of tables) {
    it(`in ${table} are seen by the plain role as that tenant alone`, async () => {
      const everybody = await tenantsIn(owner, table);
      for (const { tenant_id } of tenants) {
        assert.ok(everybody.includes(tenant_id));
        assert.deepEqual(await inTenant(instance.pool, tenant_id, (client) => tenantsIn(client, table)), [
          tenant_id,
        ]);
      }
      assert.deepEqual(await inTenant(instance.pool, randomUUID(), (client) => tenantsIn(client, table)), []);
      // Without the setting, also on a connection that had one in a transaction before.
      assert.deepEqual(await tenantsIn(instance.pool, table), []);
    });
  }

  it('cannot be written, moved or searched from another tenant', async () => {
    const [own, other] = tenants;
    assert.ok(own && other);
    const asOwn = <T>(sql: string, values: unknown[]) =>
      inTenant(instance.pool, own.tenant_id, async (client) => (await client.query(sql, values)) as T);
    await assert.rejects(asOwn('INSERT INTO orders.catalogue VALUES ($1, 1)', [randomUUID()]), {
      code: '42501',
    });
    await assert.rejects(asOwn('UPDATE orders.product SET tenant_id = $1', [other.tenant_id]), {
      code: '42501',
    });
    const changed = await asOwn<{ rowCount: number }>(
      'UPDATE orders.orders SET status = status WHERE tenant_id = $1',
      [other.tenant_id],
    );
    assert.equal(changed.rowCount, 0);
    const search = `SELECT id FROM orders.search_products('pizza', NULL, NULL, NULL, NULL, NULL, 'relevance', NULL, NULL, NULL, 100)`;
    const { rows } = await asOwn<{ rows: unknown[] }>(search, []);
    assert.equal(rows.length, 1);
    assert.deepEqual((await instance.pool.query(search)).rows, []);
  });

  it('are behind functions that no other role may call', async () => {
    const { rows } = await owner.query<{ name: string }>(
      `SELECT p.proname AS name FROM pg_proc p, unnest(ARRAY['ragline_identity', 'ragline_notifications', 'ragline_cdc']) role
       WHERE p.pronamespace = 'orders'::regnamespace AND has_function_privilege(role, p.oid, 'EXECUTE')`,
    );
    assert.deepEqual(rows, []);
  });

  it('are not for the plain role to delete, nor its history to change', async () => {
    for (const sql of [
      'DELETE FROM orders.orders',
      'DELETE FROM orders.product',
      'DELETE FROM orders.outbox',
      "UPDATE orders.outbox SET type = ''",
      'TRUNCATE orders.order_item',
      'ALTER TABLE orders.orders DISABLE ROW LEVEL SECURITY',
      'SET ROLE ragline_identity',
    ]) {
      await assert.rejects(instance.pool.query(sql), { code: '42501' }, sql);
    }
  });

  it('never show in an answer to anybody else, whatever is asked', async () => {
    const paths = fc.constantFrom(
      '/v1/products',
      '/v1/products?q=pizza',
      '/v1/products?sort=price&limit=1',
      '/v1/promotions',
      '/v1/orders',
      '/v1/orders?limit=1',
      '/v1/orders?status=pending',
    );
    const ids = new Map<string, string>();
    for (const table of ['product', 'promotion', 'orders']) {
      const { rows } = await owner.query<{ id: string; tenant_id: string }>(
        `SELECT id, tenant_id FROM orders.${table}`,
      );
      for (const { id, tenant_id } of rows) ids.set(id, tenant_id);
    }
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...tenants), paths, async (caller, path) => {
        const { status, text } = await caller.get(path);
        assert.equal(status, 200);
        for (const [id] of text.matchAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g)) {
          const belongsTo = ids.get(id);
          assert.ok(belongsTo === undefined || belongsTo === caller.tenant_id, `${path} showed ${id}`);
        }
      }),
      { numRuns: 40 },
    );
  });
});
