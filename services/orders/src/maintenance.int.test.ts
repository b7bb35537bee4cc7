import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { startTokens } from '../../../tests/support/tokens.ts';
import { keepHouse } from './maintenance.ts';
import {
  type Caller,
  type Instance,
  makeCaller,
  makeProduct,
  ownerPool,
  startInstance,
  type Tokens,
} from './orders.support.ts';

const sentinelTenant = '019a0000-0000-7000-8000-000000000004';

describe('housekeeping', () => {
  let tokens: Tokens;
  let instance: Instance;
  let owner: Pool;

  before(async () => {
    tokens = await startTokens();
    instance = await startInstance({ tokens });
    owner = ownerPool();
  });
  after(async () => {
    await instance?.stop();
    await owner?.end();
    await tokens?.stop();
  });

  const ageKey = (key: string) =>
    owner.query("UPDATE orders.order_key SET created_at = created_at - interval '24 hours' WHERE key = $1", [
      key,
    ]);
  const scene = async (tenant_id = randomUUID()): Promise<{ staff: Caller; request: object }> => {
    const staff = await makeCaller(tokens, instance, { roles: ['staff'], tenant_id });
    const { id } = await makeProduct(staff);
    return { staff, request: { items: [{ product_id: id, quantity: 1 }] } };
  };
  /** Another instance may hold the lock, and then does the work. */
  const tidied = (isDone: () => Promise<boolean>) =>
    eventually(async () => {
      await keepHouse(instance.pool);
      return isDone();
    });

  it('forgets keys after a day, and no sooner', async () => {
    const { staff, request } = await scene();
    const [old, young] = [randomUUID(), randomUUID()];
    for (const key of [old, young]) await staff.order(request, key);
    await ageKey(old);
    const left = async () => {
      const { rows } = await owner.query<{ key: string }>(
        'SELECT key FROM orders.order_key WHERE key IN ($1, $2)',
        [old, young],
      );
      return rows.map(({ key }) => key);
    };
    await tidied(async () => (await left()).length < 2);
    assert.deepEqual(await left(), [young]);
  });

  it('is not waited for: a key older than a day is free', async () => {
    const { staff, request } = await scene();
    const key = randomUUID();
    const first = await staff.order(request, key);
    await ageKey(key);
    const next = await staff.order(request, key);
    assert.deepEqual([next.status, next.headers.get('idempotent-replayed')], [201, null]);
    assert.notEqual(next.body.id, first.body.id);
    const again = await staff.order(request, key);
    assert.equal(again.body.id, next.body.id);
  });

  it("removes the sentinel's orders of yesterday, and nobody else's", async () => {
    const sentinel = await scene(sentinelTenant);
    const other = await scene();
    const ids: string[] = [];
    for (const { staff, request } of [sentinel, sentinel, other])
      ids.push((await staff.order(request)).body.id);
    const [old, young, foreign] = ids;
    await owner.query(
      "UPDATE orders.orders SET created_at = created_at - interval '1 day' WHERE id IN ($1, $2)",
      [old, foreign],
    );
    await tidied(async () => (await sentinel.staff.get(`/v1/orders/${old}`)).status === 404);
    assert.equal((await sentinel.staff.get(`/v1/orders/${young}`)).status, 200);
    assert.equal((await other.staff.get(`/v1/orders/${foreign}`)).status, 200);
    const { rows } = await owner.query('SELECT FROM orders.order_item WHERE order_id = $1', [old]);
    assert.equal(rows.length, 0);
  });

  it('is done by one instance at a time', async () => {
    const holder = await owner.connect();
    try {
      await holder.query('BEGIN');
      await holder.query("SELECT pg_advisory_xact_lock(hashtextextended('ragline.orders.prune', 0))");
      const { staff, request } = await scene();
      const key = randomUUID();
      await staff.order(request, key);
      await ageKey(key);
      assert.equal((await keepHouse(instance.pool)).order_keys, 0);
    } finally {
      await holder.query('ROLLBACK');
      holder.release();
    }
  });
});
