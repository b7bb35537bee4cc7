import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, inTransaction, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { type Codec, createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { after, before, describe, it } from 'mocha';
import request from 'supertest';
import { eventually } from '../../../../tests/support/eventually.ts';
import { stack } from '../../../../tests/support/stack.ts';
import { startTokens } from '../../../../tests/support/tokens.ts';
import { notificationsFor } from '../domain.ts';
import { memoized } from '../memoized.ts';
import type { Encode } from '../outbox.ts';
import { notificationStore } from '../store.ts';
import { addPreferenceRoutes } from './http.ts';
import { sampleOf } from './settled.ts';
import { preferenceStore } from './store.ts';
import { type Told, tellDue } from './windows.ts';

const path = '/v1/notification-preferences';
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const inDigest = { live: 'digest' } as const;

describe('notification preferences', function () {
  this.timeout(60_000);
  let database: Awaited<ReturnType<typeof scratchDatabase>>;
  let pool: Pool;
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  let codec: Codec;
  let encode: Encode;
  let store: ReturnType<typeof notificationStore>;
  let app: ReturnType<typeof createApp>['app'];

  before(async () => {
    database = await scratchDatabase();
    pool = poolOf('ragline_notifications', 6, database.name);
    tokens = await startTokens();
    codec = createCodec({ registryUrl: stack().registryUrl });
    const encoder = memoized(() => codec.encoder('notification_v1'));
    encode = await encoder();
    store = notificationStore(pool, encoder);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const api = createApi({ title: 'test', authentication: createAuthentication(tokens.settings) });
    addPreferenceRoutes({ api, store: preferenceStore(pool, encoder), onChanged: () => {} });
    const metrics = createMetrics({ service: 'test' });
    ({ app } = createApp({ service: 'test', log, metrics, health: createHealth(), api }));
  });
  after(async () => {
    await pool?.end();
    await tokens?.jwks.stop();
    await database?.drop();
  });

  /** A tenant with a customer and a member of staff, of now. */
  function aTenant() {
    const tenant_id = randomUUIDv7();
    const as = (role: 'customer' | 'staff') => {
      const user_id = randomUUIDv7();
      const token = tokens.token({ tenant_id, user_id, roles: [role] });
      const reader = { tenant_id, user_id, is_staff: role === 'staff' };
      return {
        reader,
        get: async () =>
          request(app)
            .get(path)
            .set('authorization', `Bearer ${await token}`),
        put: async (body: object, ifMatch?: string) => {
          const asking = request(app)
            .put(path)
            .set('authorization', `Bearer ${await token}`);
          return (ifMatch === undefined ? asking : asking.set('if-match', ifMatch)).send(body);
        },
        list: () => store.list(reader, { unread: undefined, before: undefined, limit: 50 }),
      };
    };
    const customer = as('customer');
    return {
      tenant_id,
      customer,
      staff: as('staff'),
      order: () => keepOrder(tenant_id, customer.reader.user_id),
    };
  }

  async function keepOrder(tenant_id: string, user_id: string): Promise<void> {
    const keep = await store.keeper();
    // Staff see what came after their account was made, and ids know milliseconds and no more.
    const since = Date.now();
    await eventually(() => Date.now() > since, { everyMs: 1 });
    const event = anOrderEvent({ tenant_id, user_id });
    await inTransaction(pool, (client) =>
      keep(client, [{ event_id: event.event_id, traceparent, notifications: notificationsFor(event) }]),
    );
  }

  const windowsOf = (tenantId: string) =>
    inTenant(
      pool,
      tenantId,
      async (client) =>
        (await client.query('SELECT * FROM notifications.digest_window ORDER BY starts_at')).rows,
    );

  /** As if the time of all of a tenant's windows had come. */
  async function comeDue(tenantId: string): Promise<void> {
    await inTenant(pool, tenantId, (client) =>
      client.query(
        "UPDATE notifications.digest_window SET ends_at = now(), due_at = now() - interval '1 year'",
      ),
    );
  }

  const now = async () => (await sampleOf(pool)).at;
  const tell = async () => tellDue(pool, encode, await now(), 10);

  /** Events of the outbox, decoded, in their order. */
  async function eventsOf(tenantId: string) {
    const { rows } = await inTenant(pool, tenantId, (client) =>
      client.query<{ payload: Buffer }>('SELECT payload FROM notifications.outbox ORDER BY id'),
    );
    return Promise.all(
      rows.map(async ({ payload }) => (await codec.decode(payload)).value as Record<string, unknown>),
    );
  }

  it('are as usual before anything was put, and show each role what it can be told of', async () => {
    const { customer, staff } = aTenant();
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
    const { tenant_id, customer } = aTenant();
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
    const events = await eventsOf(tenant_id);
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
    const { customer } = aTenant();
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
    const { customer } = aTenant();
    const answers = await Promise.all([
      customer.put({ digest_minutes: 5 }),
      customer.put({ digest_minutes: 6 }),
    ]);
    assert.deepEqual(answers.map(({ body }) => body.version).sort(), [1, 2]);
  });

  it('leave out of the list what is not wanted there, of one user alone, and give it back', async () => {
    const { customer, staff, order } = aTenant();
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
    const { tenant_id, staff, order } = aTenant();
    await order();
    const keep = await store.keeper();
    const event_id = randomUUIDv7();
    const notice = { tenant_id, audience: 'staff', user_id: null, order_id: null, event_id } as const;
    const notifications = [{ ...notice, kind: 'webhook_disabled', title: 'Webhook to a host was disabled' }];
    await inTransaction(pool, (client) => keep(client, [{ event_id, traceparent, notifications }]));
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

  it('hold for a digest what waits for one: it says how many, once, and the next window begins', async () => {
    const { tenant_id, staff, order } = aTenant();
    await staff.put({ events: { order_created: inDigest }, digest_minutes: 15 });
    for (let i = 0; i < 3; i += 1) await order();
    const [before] = await windowsOf(tenant_id);
    await comeDue(tenant_id);
    assert.equal((await tell()).told, 1);
    assert.deepEqual(await tell(), { told: 0, empty: 0, postponed: 0 });

    const [digest, ...rest] = await staff.list();
    assert.deepEqual(
      [digest?.kind, digest?.title, digest?.order_id],
      ['notifications_digest', '3 new orders', null],
    );
    assert.equal(rest.length, 3);
    const last = (await eventsOf(tenant_id)).at(-1);
    assert.deepEqual(
      [last?.event_type, last?.user_id, last?.while_staff],
      ['notification_created', staff.reader.user_id, true],
    );
    const [next, ...others] = await windowsOf(tenant_id);
    assert.equal(others.length, 0);
    assert.ok(next.starts_at > before.starts_at);
    assert.equal(next.due_at - next.starts_at, 900_000);
    const asCustomer = { ...staff.reader, is_staff: false };
    assert.deepEqual(await store.list(asCustomer, { unread: undefined, before: undefined, limit: 9 }), []);

    await comeDue(tenant_id);
    assert.deepEqual(await tell(), { told: 0, empty: 1, postponed: 0 });
  });

  it('tell once, whoever races for it and whoever is killed before the commit', async () => {
    const { tenant_id, customer, order } = aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await comeDue(tenant_id);

    const doomed = poolOf('ragline_notifications', 1, database.name);
    doomed.on('error', () => {});
    const { rows } = await doomed.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    // Everything is written, and nothing committed, when the process ends.
    const dying = tellDue(
      doomed,
      (event) => {
        if (event.event_type === 'notification_created')
          void pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
        return encode(event);
      },
      await now(),
      10,
    );
    await assert.rejects(dying);
    await doomed.end();

    const until = await now();
    let both: Told[] = [];
    await eventually(async () => {
      both = await Promise.all([tellDue(pool, encode, until, 10), tellDue(pool, encode, until, 10)]);
      return both.some((it) => it.told > 0);
    });
    assert.deepEqual(both.map((it) => it.told).sort(), [0, 1]);
    const digests = (await customer.list()).filter(({ kind }) => kind === 'notifications_digest');
    assert.deepEqual(
      digests.map(({ title }) => title),
      ['1 order of yours was received'],
    );
    const published = (await eventsOf(tenant_id)).filter(
      ({ notification }) => (notification as { kind?: string } | null)?.kind === 'notifications_digest',
    );
    assert.equal(published.length, 1);
  });

  it('changed in the middle of a window end it: what it held is told, what comes then is held by the new ones', async () => {
    const { tenant_id, customer, order } = aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 60 });
    const [ended, running] = await windowsOf(tenant_id);
    assert.deepEqual(
      [ended.is_last, running.is_last, running.due_at - running.starts_at],
      [true, false, 3_600_000],
    );
    await inTenant(pool, tenant_id, (client) =>
      client.query("UPDATE notifications.digest_window SET due_at = now() - interval '1 year' WHERE is_last"),
    );
    assert.equal((await tell()).told, 1);
    assert.equal((await windowsOf(tenant_id)).length, 1);
    await customer.put({});
    const last = await windowsOf(tenant_id);
    assert.deepEqual(
      last.map((it) => it.is_last),
      [true],
    );
  });

  it('wait for the end of quiet hours, also when nobody told it in time', async () => {
    const { tenant_id, customer, order } = aTenant();
    const hour = (await sampleOf(pool)).at / 3_600_000;
    const clock = (offset: number) => `${String((Math.floor(hour) + offset + 48) % 24).padStart(2, '0')}:00`;
    const quiet_hours = { from: clock(-2), to: clock(3), time_zone: 'UTC' };
    await customer.put({ quiet_hours });
    await order();
    const [window] = await windowsOf(tenant_id);
    await comeDue(tenant_id);
    assert.deepEqual(await tell(), { told: 0, empty: 0, postponed: 1 });
    const [waiting] = await windowsOf(tenant_id);
    assert.deepEqual(waiting.due_at, window.due_at);
    const later = await tellDue(pool, encode, waiting.due_at.getTime() + 60_000, 10);
    assert.equal(later.told, 1);
    assert.equal((await customer.list())[0]?.title, '1 order of yours was received');
  });

  it('of who has not been here for a month make no more digests, until he is back', async () => {
    const { tenant_id, customer, order } = aTenant();
    await customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    await order();
    await comeDue(tenant_id);
    await inTenant(pool, tenant_id, (client) =>
      client.query("UPDATE notifications.preference SET seen_at = now() - interval '31 days'"),
    );
    assert.equal((await tell()).told, 1);
    assert.deepEqual(await windowsOf(tenant_id), []);
    const store = preferenceStore(pool, async () => encode);
    await store.seen(customer.reader);
    await store.seen(customer.reader);
    assert.equal((await windowsOf(tenant_id)).length, 1);
  });

  it('of a user are nobody else’s, nor in another tenant', async () => {
    const one = aTenant();
    const other = aTenant();
    await one.customer.put({ events: { order_created: inDigest }, digest_minutes: 5 });
    assert.deepEqual(await windowsOf(other.tenant_id), []);
    const seen = await inTenant(pool, other.tenant_id, (client) =>
      client.query('SELECT FROM notifications.preference'),
    );
    assert.equal(seen.rowCount, 0);
    const unset = await pool.query('SELECT FROM notifications.digest_window');
    assert.equal(unset.rowCount, 0);
    assert.equal((await one.staff.get()).body.version, 0);
  });

  it('ask whoever changes his mind too fast to wait', async () => {
    const { customer } = aTenant();
    const statuses: number[] = [];
    for (let minutes = 10; minutes < 32; minutes += 1) {
      statuses.push(
        (await customer.put({ events: { order_created: inDigest }, digest_minutes: minutes })).status,
      );
    }
    assert.deepEqual([statuses.filter((it) => it === 200).length, statuses.at(-1)], [20, 429]);
  });
});
