import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { inTenant } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { keepHouse } from './maintenance.ts';
import { openStore } from './testing.ts';

const sentinel = '019a0000-0000-7000-8000-000000000004';

describe('housekeeping of notifications', () => {
  let opened: ReturnType<typeof openStore>;
  before(() => {
    opened = openStore();
  });
  after(() => opened.pool.end());

  it("forgets the sentinel's of yesterday, however many, and nobody else's", async () => {
    const user = randomUUID();
    const other = randomUUID();
    for (const hours of [25, 26, 27, 1]) await add(sentinel, user, hours);
    await add(other, user, 25);
    // Another instance may be at it, and then does the work.
    await eventually(async () => {
      await keepHouse(opened.pool, 2);
      return (await countOf(sentinel, user)) === 1;
    });
    assert.equal(await countOf(other, user), 1);
  });

  async function add(tenantId: string, userId: string, hoursAgo: number): Promise<void> {
    const id = randomUUIDv7();
    await inTenant(opened.pool, tenantId, async (client) => {
      await client.query(
        `INSERT INTO notifications.notification (id, tenant_id, audience, user_id, kind, event_id, title, created_at)
         VALUES ($1, $2, 'user', $3, 'order_created', $4, 'test', now() - $5 * interval '1 hour')`,
        [id, tenantId, userId, randomUUIDv7(), hoursAgo],
      );
      await client.query('INSERT INTO notifications.notification_read VALUES ($1, $2, $3, now())', [
        tenantId,
        userId,
        id,
      ]);
    });
  }

  async function countOf(tenantId: string, userId: string): Promise<number> {
    const { rows } = await inTenant(opened.pool, tenantId, (client) =>
      client.query<{ count: number }>(
        'SELECT count(*) AS count FROM notifications.notification WHERE user_id = $1',
        [userId],
      ),
    );
    return rows[0]?.count ?? 0;
  }
});
