import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Client, Pool } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { ownerPool } from './orders.support.ts';

const productsMany = 50_000;

describe('searching 50,000 products', () => {
  const tenantId = randomUUID();
  let owner: Pool;

  before(async () => {
    owner = ownerPool();
    for (let from = 1; from < productsMany; from += 5_000) {
      await owner.query(
        `INSERT INTO orders.product (tenant_id, id, name, price, currency, created_at, updated_at)
         SELECT $1, uuidv7(), 'Article ' || n, n, 'EUR', now(), now() FROM generate_series($2::int, $2::int + 4999) n`,
        [tenantId, from],
      );
    }
    // As the housekeeping does: the planner counts what waits beside an index against it.
    await owner.query(
      "SELECT gin_clean_pending_list('orders.product_document'), gin_clean_pending_list('orders.product_trigrams')",
    );
    await owner.query('ANALYZE orders.product');
  }).timeout(240_000);
  after(async () => {
    await owner?.query('DELETE FROM orders.product WHERE tenant_id = $1', [tenantId]);
    await owner?.end();
  });

  it('asks the indexes of words and of likeness, as the plain role, and reads no whole table', async () => {
    const plan = await planOf('Pizza margherita');
    assert.match(plan, /Bitmap Index Scan on product_document/);
    assert.match(plan, /Bitmap Index Scan on product_trigrams/);
    assert.doesNotMatch(plan, /Seq Scan on product/);
  });

  it('leaves likeness alone where enough have the words', async () => {
    const plan = await planOf('article 77');
    assert.match(plan, /Bitmap Index Scan on product_document/);
    assert.doesNotMatch(plan, /product_trigrams|Seq Scan on product/);
  });

  it('asks the index of its order for a page without words', async () => {
    const sql = `SELECT p.id FROM orders.product p WHERE p.tenant_id = $1 AND p.deleted_at IS NULL`;
    assert.match(
      await explained(`${sql} ORDER BY p.price, p.id LIMIT 50`),
      /Index.* Scan using product_by_price/,
    );
    assert.match(
      await explained(`${sql} ORDER BY p.folded_name COLLATE "C", p.id LIMIT 50`),
      /Index.* Scan using product_by_name/,
    );
  });

  async function explained(sql: string): Promise<string> {
    return asPlainRole(async (client) => {
      const { rows } = await client.query<Record<string, string>>(
        `EXPLAIN ${sql.replace('$1', `'${tenantId}'`)}`,
      );
      return rows.map((row) => Object.values(row).join('')).join('\n');
    });
  }

  /** What Postgres did inside the function: EXPLAIN shows a function as one node, auto_explain what it runs. */
  async function planOf(q: string): Promise<string> {
    return asPlainRole(async (client) => {
      const plans: string[] = [];
      client.on('notice', ({ message }) => plans.push(message ?? ''));
      await client.query(
        `SELECT id FROM orders.search_products($1, NULL, NULL, NULL, NULL, NULL, 'relevance', NULL, NULL, NULL, 50)`,
        [q],
      );
      return plans.filter((plan) => plan.includes('product')).join('\n');
    });
  }

  async function asPlainRole<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await owner.connect();
    try {
      await client.query('BEGIN');
      await client.query("LOAD 'auto_explain'");
      await client.query('SET LOCAL auto_explain.log_min_duration = 0');
      await client.query('SET LOCAL auto_explain.log_nested_statements = on');
      await client.query('SET LOCAL client_min_messages = log');
      await client.query('SET LOCAL ROLE ragline_orders');
      await client.query("SELECT set_config('ragline.tenant_id', $1, true)", [tenantId]);
      return await work(client);
    } finally {
      client.release(true);
    }
  }
});
