import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, inTransaction } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { preferenceStore } from './store.ts';
import { inDigest, openScene, type Scene, traceparent } from './testing.ts';

describe('notification preferences', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  after(() => scene?.close());

  it('are as usual before anything was put, and show each role what it can be told of', async () => {
    const { customer, staff } = scene.aTenant();
    const shown = await customer.get();
    assert.deepEqual([shown.status, shown.headers.etag], [200, '"0"']);
    assert.deepEqual(shown.body, {
      events: {
        order_created: { list: true, live: true },
        order_status_changed: { list: true, live: true },
        order_cancelled: { list: true, live: true },
      },
      quiet_hours: null,
      digest_minutes: null,
      version: 0,
      updated_at: null,
    });
    assert.deepEqual((await staff.get()).body.events.webhook_disabled, { list: true, live: true });
  });

  it('are replaced whole, with a version; the same again changes nothing', async () => {
    const { tenant_id, customer } = scene.aTenant();
    const wanted = {
      events: { order_status_changed: inDigest },
      quiet_hours: { from: '22:00', to: '07:00', time_zone: 'Europe/Berlin' },
      digest_minutes: 15,
    };
    const put = await customer.put(wanted, '"0"');
    assert.deepEqual([put.status, put.headers.etag, put.body.version], [200, '"1"', 1]);
    assert.deepEqual(put.body.events.order_status_changed, { list: true, live: 'digest' });
    assert.deepEqual((await customer.get()).body, put.body);
    assert.deepEqual((await customer.put(wanted)).body, put.body);
    assert.equal((await customer.put({}, '"0"')).status, 412);
    const back = await customer.put({}, '"1"');
    assert.deepEqual([back.body.version, back.body.quiet_hours, back.body.digest_minutes], [2, null, null]);
    const events = await scene.eventsOf(tenant_id);
    assert.deepEqual(
      events.map(({ event_type, preferences }) => [event_type, preferences]),
      [
        ['notification_preferences_changed', put.body],
        ['notification_preferences_changed', back.body],
      ],
    );
  });

  const refusals: [string, object, string][] = [
    ['an event that is none', { events: { order_eaten: {} } }, 'events'],
    ['a field that is none', { loudness: 11 }, ''],
    [
      'a field of an event that is none',
      { events: { order_created: { mail: true } } },
      'events.order_created',
    ],
    [
      'another word for live',
      { events: { order_created: { live: 'sometimes' } } },
      'events.order_created.live',
    ],
    ['a digest without its minutes', { events: { order_created: inDigest } }, 'digest_minutes'],
    ['too many digests', { digest_minutes: 4 }, 'digest_minutes'],
    [
      'a time that is none',
      { quiet_hours: { from: '24:00', to: '07:00', time_zone: 'UTC' } },
      'quiet_hours.from',
    ],
    [
      'a zone that is none',
      { quiet_hours: { from: '22:00', to: '07:00', time_zone: 'Mars/Base' } },
      'quiet_hours.time_zone',
    ],
    ['no hours at all', { quiet_hours: { from: '22:00', to: '22:00', time_zone: 'UTC' } }, 'quiet_hours.to'],
    [
      'what only staff can be told of',
      { events: { webhook_disabled: { live: false } } },
      'events.webhook_disabled',
    ],
  ];

  it('are refused with the field that is wrong', async () => {
    const { customer } = scene.aTenant();
    for (const [name, body, field] of refusals) {
      const answer = await customer.put(body);
      assert.deepEqual([answer.status, answer.body.code], [422, 'invalid'], name);
      const paths = answer.body.errors.map((it: { path: string }) => it.path);
      assert.ok(
        paths.some((it: string) => it === field || it.startsWith(`${field}.`) || field === ''),
        `${name}: ${paths}`,
      );
    }
    assert.equal((await customer.get()).body.version, 0);
  });

  it('of two first ones at once, one comes after the other', async () => {
    const { customer } = scene.aTenant();
    const answers = await Promise.all([
      customer.put({ digest_minutes: 5 }),
      customer.put({ digest_minutes: 6 }),
    ]);
    assert.deepEqual(answers.map(({ body }) => body.version).sort(), [1, 2]);
  });

  it('leave out of the list what is not wanted there, of one user alone, and give it back', async () => {
    const { customer, staff, order } = scene.aTenant();
    await order();
    const hide = { events: { order_created: { list: false } } };
    assert.equal((await customer.put(hide)).status, 200);
    assert.deepEqual([(await customer.list()).length, (await staff.list()).length], [0, 1]);
    await staff.put(hide);
    assert.equal((await staff.list()).length, 0);
    await customer.put({});
    assert.equal((await customer.list()).length, 1);
  });

  it('leave staff without the list of orders, and with what else there is', async () => {
    const { tenant_id, staff, order } = scene.aTenant();
    await order();
    const keep = await scene.store.keeper();
    const event_id = randomUUIDv7();
    const notice = { tenant_id, audience: 'staff', user_id: null, order_id: null, event_id } as const;
    const notifications = [{ ...notice, kind: 'webhook_disabled', title: 'Webhook to a host was disabled' }];
    await inTransaction(scene.pool, (client) => keep(client, [{ event_id, traceparent, notifications }]));
    await staff.put({ events: { order_created: { list: false } } });
    assert.deepEqual(
      (await staff.list()).map(({ kind }) => kind),
      ['webhook_disabled'],
    );
    await staff.put({ events: { webhook_disabled: { list: false } } });
    assert.deepEqual(
      (await staff.list()).map(({ kind }) => kind),
      ['order_created'],
    );
  });

  it('that cannot be read are one user’s trouble, and no others’', async () => {
    const { tenant_id, customer, staff } = scene.aTenant();
    await customer.put({ digest_minutes: 5 });
    await staff.put({ digest_minutes: 6 });
    await inTenant(scene.pool, tenant_id, (client) =>
      client.query(
        `UPDATE notifications.preference SET rules = rules || '{"quiet_hours": "of a later version"}' WHERE user_id = $1`,
        [customer.reader.user_id],
      ),
    );
    const store = preferenceStore(scene.pool, async () => scene.encode);
    const read = await store.ofUsers([customer.reader, staff.reader]);
    const minutes = new Map(read.map((it) => [it.user.user_id, it.preferences?.rules.digest_minutes]));
    assert.deepEqual(
      minutes,
      new Map([
        [customer.reader.user_id, undefined],
        [staff.reader.user_id, 6],
      ]),
    );
  });

  it('of a user are nobody else’s, nor in another tenant', async () => {
    const one = scene.aTenant();
    const other = scene.aTenant();
    await one.customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    assert.deepEqual(await scene.windowsOf(other.tenant_id), []);
    const seen = await inTenant(scene.pool, other.tenant_id, (client) =>
      client.query('SELECT FROM notifications.preference'),
    );
    assert.equal(seen.rowCount, 0);
    const unset = await scene.pool.query('SELECT FROM notifications.digest_window');
    assert.equal(unset.rowCount, 0);
    assert.equal((await one.staff.get()).body.version, 0);
  });
});
