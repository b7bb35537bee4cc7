import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import { after, before, beforeEach, describe, it } from 'mocha';
import pg from 'pg';
import { eventually } from '../../../../tests/support/eventually.ts';
import { sampleOf } from './settled.ts';
import { preferenceStore } from './store.ts';
import { inDigest, openScene, type Scene } from './testing.ts';
import { type Told, tellDue } from './windows.ts';

describe('digests', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  beforeEach(() => scene.forgetWindows());
  after(() => scene?.close());

  it('hold for a digest what waits for one: it says how many, once, and the next window begins', async () => {
    const { tenant_id, staff, order } = scene.aTenant();
    await staff.put({ events: { order_created: inDigest }, digest_minutes: 15 });
    for (let i = 0; i < 3; i += 1) await order();
    const [before] = await scene.windowsOf(tenant_id);
    await scene.comeDue(tenant_id);
    assert.equal((await scene.tell()).told, 1);
    assert.deepEqual(await scene.tell(), { told: 0, empty: 0, postponed: 0 });

    const [digest, ...rest] = await staff.list();
    assert.deepEqual(
      [digest?.kind, digest?.title, digest?.order_id],
      ['notifications_digest', '3 new orders', null],
    );
    assert.equal(rest.length, 3);
    const last = (await scene.eventsOf(tenant_id)).at(-1);
    assert.deepEqual(
      [last?.event_type, last?.user_id, last?.while_staff],
      ['notification_created', staff.reader.user_id, true],
    );
    const [next, ...others] = await scene.windowsOf(tenant_id);
    assert.equal(others.length, 0);
    assert.ok(next.starts_at > before.starts_at);
    assert.equal(next.due_at - next.starts_at, 900_000);
    const asCustomer = { ...staff.reader, is_staff: false };
    assert.deepEqual(
      await scene.store.list(asCustomer, { unread: undefined, before: undefined, limit: 9 }),
      [],
    );

    await scene.comeDue(tenant_id);
    assert.deepEqual(await scene.tell(), { told: 0, empty: 1, postponed: 0 });
  });

  it('tell once, whoever races for it and whoever is killed before the commit', async () => {
    const { tenant_id, customer, order } = scene.aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await scene.comeDue(tenant_id);

    const doomed = poolOf('ragline_notifications', 1, scene.database.name);
    doomed.on('error', () => {});
    const { rows } = await doomed.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    // Everything is written, and nothing committed, when the process ends.
    const dying = tellDue(
      doomed,
      (event) => {
        if (event.event_type === 'notification_created')
          void scene.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
        return scene.encode(event);
      },
      await scene.now(),
      10,
    );
    await assert.rejects(dying);
    await doomed.end();

    const until = await scene.now();
    let both: Told[] = [];
    await eventually(async () => {
      both = await Promise.all([
        tellDue(scene.pool, scene.encode, until, 10),
        tellDue(scene.pool, scene.encode, until, 10),
      ]);
      return both.some((it) => it.told > 0);
    });
    assert.deepEqual(both.map((it) => it.told).sort(), [0, 1]);
    const digests = (await customer.list()).filter(({ kind }) => kind === 'notifications_digest');
    assert.deepEqual(
      digests.map(({ title }) => title),
      ['1 order of yours was received'],
    );
    const published = (await scene.eventsOf(tenant_id)).filter(
      ({ notification }) => (notification as { kind?: string } | null)?.kind === 'notifications_digest',
    );
    assert.equal(published.length, 1);
  });

  it('changed in the middle of a window end it: what it held is told, what comes then is held by the new ones', async () => {
    const { tenant_id, customer, order } = scene.aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 60 });
    const [ended, running] = await scene.windowsOf(tenant_id);
    assert.deepEqual(
      [ended.is_last, running.is_last, running.due_at - running.starts_at],
      [true, false, 3_600_000],
    );
    await inTenant(scene.pool, tenant_id, (client) =>
      client.query("UPDATE notifications.digest_window SET due_at = now() - interval '1 year' WHERE is_last"),
    );
    assert.equal((await scene.tell()).told, 1);
    assert.equal((await scene.windowsOf(tenant_id)).length, 1);
    await customer.put({});
    const last = await scene.windowsOf(tenant_id);
    assert.deepEqual(
      last.map((it) => it.is_last),
      [true],
    );
  });

  it('wait for the end of quiet hours, also when nobody told it in time', async () => {
    const { tenant_id, customer, order } = scene.aTenant();
    const hour = (await sampleOf(scene.pool)).at / 3_600_000;
    const clock = (offset: number) => `${String((Math.floor(hour) + offset + 48) % 24).padStart(2, '0')}:00`;
    const quiet_hours = { from: clock(-2), to: clock(3), time_zone: 'UTC' };
    await customer.put({ quiet_hours });
    await order();
    const [window] = await scene.windowsOf(tenant_id);
    await scene.comeDue(tenant_id);
    assert.deepEqual(await scene.tell(), { told: 0, empty: 0, postponed: 1 });
    const [waiting] = await scene.windowsOf(tenant_id);
    assert.deepEqual(waiting.due_at, window.due_at);
    const later = await tellDue(scene.pool, scene.encode, waiting.due_at.getTime() + 60_000, 10);
    assert.equal(later.told, 1);
    assert.equal((await customer.list())[0]?.title, '1 order of yours was received');
  });

  it('of who has not been here for a month make no more digests, until he is back', async () => {
    const { tenant_id, customer, order } = scene.aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await scene.comeDue(tenant_id);
    await inTenant(scene.pool, tenant_id, (client) =>
      client.query("UPDATE notifications.preference SET seen_at = now() - interval '31 days'"),
    );
    assert.equal((await scene.tell()).told, 1);
    assert.deepEqual(await scene.windowsOf(tenant_id), []);
    const store = preferenceStore(scene.pool, async () => scene.encode);
    await store.seen(customer.reader);
    await store.seen(customer.reader);
    assert.equal((await scene.windowsOf(tenant_id)).length, 1);
  });

  it('ask whoever changes his mind too fast to wait', async () => {
    const { customer } = scene.aTenant();
    const answers: Awaited<ReturnType<typeof customer.put>>[] = [];
    for (let minutes = 10; minutes < 32; minutes += 1)
      answers.push(await customer.put({ events: { order_created: inDigest }, digest_minutes: minutes }));
    const last = answers.at(-1);
    assert.deepEqual([answers.filter(({ status }) => status === 200).length, last?.status], [20, 429]);
    // A second after the change it ended by, and some more until it is told.
    const wait = Number(last?.headers['retry-after']);
    assert.ok(wait > 0 && wait <= 10, `${wait}`);
  });

  it('count what was not read meanwhile, and are not made where all was', async () => {
    const { tenant_id, customer, order } = scene.aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    assert.equal(await scene.store.markAllRead(customer.reader), 1);
    await order();
    await scene.comeDue(tenant_id);
    assert.equal((await scene.tell()).told, 1);
    assert.equal((await customer.list())[0]?.title, '1 order of yours was received');
    await order();
    // With the digest, and what it counted.
    assert.equal(await scene.store.markAllRead(customer.reader), 3);
    await scene.comeDue(tenant_id);
    assert.deepEqual(await scene.tell(), { told: 0, empty: 1, postponed: 0 });
  });

  it('of a member of staff count what he has not read, whatever others have', async () => {
    const { tenant_id, customer, staff, order } = scene.aTenant();
    await staff.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await scene.store.markAllRead(customer.reader);
    await scene.store.markAllRead({ ...staff.reader, user_id: randomUUIDv7() });
    await scene.comeDue(tenant_id);
    assert.equal((await scene.tell()).told, 1);
    assert.equal((await staff.list())[0]?.title, '1 new order');
  });

  it('begin again with the same preferences put once more, by who was away', async () => {
    const { tenant_id, customer } = scene.aTenant();
    const wanted = { events: { order_created: inDigest }, digest_minutes: 5 };
    const { body } = await customer.put(wanted);
    await scene.comeDue(tenant_id);
    await away(tenant_id);
    await scene.tell();
    assert.deepEqual(await scene.windowsOf(tenant_id), []);
    assert.equal((await customer.put(wanted)).body.version, body.version);
    assert.equal((await scene.windowsOf(tenant_id)).length, 1);
  });

  it('of a user who is erased meanwhile are erased as well', async () => {
    const { tenant_id, customer, order } = scene.aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await scene.comeDue(tenant_id);
    const until = await scene.now();
    // One connection each, none of which gives up: who tells waits for the lock, who erases for who tells.
    const [locking, erasing] = await Promise.all([aConnection(), aConnection()]);
    const teller = poolOf('ragline_notifications', 1, scene.database.name);
    await teller.query('SET lock_timeout = 0');
    await teller.query('SET statement_timeout = 0');
    try {
      const pids = [await pidOf(teller), await pidOf(erasing)];
      const untilWaiting = (count: number) =>
        eventually(async () => {
          const { rowCount } = await scene.pool.query(
            'SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND pid = ANY ($1)',
            [pids],
          );
          assert.equal(rowCount, count);
        });
      await locking.query('BEGIN; LOCK TABLE notifications.outbox IN SHARE MODE');
      const telling = tellDue(teller, scene.encode, until, 10);
      await untilWaiting(1);
      const erased = erasing.query('SELECT notifications.erase_user($1, $2, $3)', [
        ...[tenant_id, customer.reader.user_id],
        ['a text of nobody'],
      ]);
      await untilWaiting(2);
      await locking.query('COMMIT');
      assert.equal((await telling).told, 1);
      await erased;
    } finally {
      await Promise.all([locking.end(), erasing.end(), teller.end()]);
    }
    assert.deepEqual(await customer.list(), []);
    assert.deepEqual(await scene.windowsOf(tenant_id), []);
  });

  async function aConnection(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: scene.database.url });
    await client.connect();
    return client;
  }

  async function pidOf(db: pg.Client | Pool): Promise<number | undefined> {
    const { rows } = await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return rows[0]?.pid;
  }

  async function away(tenantId: string): Promise<void> {
    await inTenant(scene.pool, tenantId, (client) =>
      client.query("UPDATE notifications.preference SET seen_at = now() - interval '31 days'"),
    );
  }
});
