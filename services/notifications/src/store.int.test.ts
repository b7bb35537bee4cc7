import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { inTenant, inTransaction } from '@ragline/postgres/pool';
import { formatTraceparent, newTraceContext } from '@ragline/runtime/traceparent';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { notificationsFor } from './domain.ts';
import type { Reader } from './reader.ts';
import type { Notification } from './store.ts';
import { openStore } from './testing.ts';

const all = { unread: undefined, before: undefined, limit: 50 };

describe('the notification store', () => {
  let opened: ReturnType<typeof openStore>;
  before(() => {
    opened = openStore();
  });
  after(() => opened.pool.end());

  it('tells the customer and, once for all of them, the staff', async () => {
    const { customer, staff, keep } = await aTenant();
    const event = await keep();
    const [own] = await opened.store.list(customer, all);
    const [forStaff] = await opened.store.list(staff, all);
    assert.deepEqual(
      [own?.title, own?.event_id, own?.order_id, own?.kind, own?.read_at],
      ['Your order was received', event.event_id, event.order.id, 'order_created', null],
    );
    assert.equal(forStaff?.title, 'New order: 2 items, EUR 13.00');
  });

  it('keeps what an event brings once, however often it comes', async () => {
    const { customer, staff, event, notice, group } = await aTenant();
    const first = await opened.keep(group, [notice(event)]);
    const again = await opened.keep(group, [notice(event)]);
    assert.deepEqual([[...first], [...again]], [[event.event_id], []]);
    assert.equal((await opened.store.list(customer, all)).length, 1);
    assert.equal((await opened.store.list(staff, all)).length, 1);
    assert.equal((await opened.store.fate(group, event.event_id, event.tenant_id))?.outcome, 'handled');
    assert.equal(await opened.store.fate(group, event.event_id, randomUUID()), undefined);
    assert.equal((await outboxOf(event.tenant_id)).length, 2);
  });

  it('keeps a batch of several tenants, each in its own', async () => {
    const [one, other] = [await aTenant(), await aTenant()];
    await opened.keep(one.group, [one.notice(one.event), other.notice(other.event)]);
    for (const { customer, event } of [one, other]) {
      const kept = await opened.store.list(customer, all);
      assert.deepEqual(
        kept.map(({ event_id }) => event_id),
        [event.event_id],
      );
    }
  });

  it('publishes what was made with the trace of its cause, by user for users and by tenant for staff', async () => {
    const { customer, event, notice, group } = await aTenant();
    const caused = notice(event);
    await opened.keep(group, [caused]);
    const rows = await outboxOf(event.tenant_id);
    assert.deepEqual(
      rows.map(({ aggregatetype, aggregateid, type, user_id, traceparent }) => [
        aggregatetype,
        aggregateid,
        type,
        user_id,
        traceparent,
      ]),
      [
        ['notifications.v1', event.tenant_id, 'notification_created', '', caused.traceparent],
        ['notifications.v1', customer.user_id, 'notification_created', customer.user_id, caused.traceparent],
      ],
    );
    const { value } = await opened.codec.decode(rows[1]?.payload ?? Buffer.alloc(0));
    const [own] = await opened.store.list(customer, all);
    assert.ok(typeof value === 'object' && value !== null && 'notification' in value);
    assert.deepEqual({ ...Object(value.notification) }, own);
  });

  it('marks as read for the reader alone, and tells once', async () => {
    const { staff, colleague, keep, tenantId } = await aTenant();
    await keep();
    const [seen] = await opened.store.list(staff, all);
    assert.ok(seen);
    const read = await opened.store.markRead(staff, seen.id);
    assert.ok(read?.read_at);
    assert.deepEqual(await opened.store.markRead(staff, seen.id), read);
    assert.deepEqual(await opened.store.list(staff, { ...all, unread: true }), []);
    assert.deepEqual(await opened.store.list(staff, { ...all, unread: false }), [read]);
    assert.deepEqual(await opened.store.list(colleague, { ...all, unread: true }), [seen]);
    const told = (await outboxOf(tenantId)).filter(({ type }) => type === 'notification_read');
    assert.deepEqual(
      told.map(({ user_id }) => user_id),
      [staff.user_id],
    );
  });

  it('marks all as read in one event, and says nothing when there was nothing', async () => {
    const { customer, keep, tenantId } = await aTenant();
    await keep();
    await keep();
    assert.equal(await opened.store.markAllRead(customer), 2);
    assert.equal(await opened.store.markAllRead(customer), 0);
    const told = (await outboxOf(tenantId)).filter(({ type }) => type === 'notifications_read_all');
    assert.equal(told.length, 1);
  });

  it('shows nobody another’s: not a user’s, not a tenant’s, and not the staff’s to customers', async () => {
    const [one, other] = [await aTenant(), await aTenant()];
    await one.keep();
    const [own] = await opened.store.list(one.customer, all);
    const [forStaff] = await opened.store.list(one.staff, all);
    assert.ok(own && forStaff);
    const ids = [own.id, forStaff.id];
    const stranger = { ...one.customer, user_id: randomUUIDv7() };
    for (const reader of [stranger, other.customer, other.staff]) {
      assert.deepEqual(await opened.store.list(reader, all), []);
      for (const id of ids) assert.equal(await opened.store.markRead(reader, id), undefined);
    }
    assert.equal(await opened.store.markRead(one.customer, forStaff.id), undefined);
    // Row-level security would stop a query that forgot the tenant.
    const count = 'SELECT count(*) AS n FROM notifications.notification';
    const unset = await inTransaction(opened.pool, (client) => client.query(count));
    assert.deepEqual(unset.rows, [{ n: 0 }]);
    const foreign = await inTenant(opened.pool, other.tenantId, (client) => client.query(count));
    assert.deepEqual(foreign.rows, [{ n: 0 }]);
  });

  it('shows new staff what came since their account was made', async () => {
    const { staff, keep } = await aTenant();
    await keep();
    await nextMillisecond();
    const newcomer = { ...staff, user_id: randomUUIDv7() };
    await nextMillisecond();
    assert.deepEqual(await opened.store.list(newcomer, all), []);
    await keep();
    assert.equal((await opened.store.list(newcomer, all)).length, 1);
  });

  it('pages from the newest to the oldest without a gap', async () => {
    const { customer, keep } = await aTenant();
    const events: string[] = [];
    for (let i = 0; i < 5; i += 1) events.unshift((await keep()).event_id);
    const pages: string[] = [];
    let before: string | undefined;
    for (;;) {
      const page: Notification[] = await opened.store.list(customer, { ...all, before, limit: 2 });
      pages.push(...page.slice(0, 2).map(({ event_id }) => event_id));
      if (page.length <= 2) break;
      before = page[1]?.id;
    }
    assert.deepEqual(pages, events);
  });

  /** Ids know milliseconds and no more: what is before the other needs one of its own. */
  async function nextMillisecond() {
    const since = Date.now();
    await eventually(() => Date.now() > since, { everyMs: 1 });
  }

  async function aTenant() {
    const tenantId = randomUUIDv7();
    const group = `test-${randomUUID()}`;
    const reader = (is_staff: boolean): Reader => ({
      tenant_id: tenantId,
      user_id: randomUUIDv7(),
      is_staff,
    });
    const [customer, staff, colleague] = [reader(false), reader(true), reader(true)];
    // Staff see what came after their account was made.
    await nextMillisecond();
    const traceparent = formatTraceparent(newTraceContext(undefined));
    const notice = (event: OrderEvent) => ({
      event_id: event.event_id,
      traceparent,
      notifications: notificationsFor(event),
    });
    const make = () => anOrderEvent({ tenant_id: tenantId, user_id: customer.user_id });
    const keep = async () => {
      const event = make();
      await opened.keep(group, [notice(event)]);
      return event;
    };
    return { tenantId, group, customer, staff, colleague, notice, keep, event: make() };
  }

  async function outboxOf(tenantId: string) {
    type Row = Record<'aggregatetype' | 'aggregateid' | 'type' | 'user_id' | 'traceparent', string> & {
      payload: Buffer;
    };
    const { rows } = await inTenant(opened.pool, tenantId, (client) =>
      client.query<Row>('SELECT * FROM notifications.outbox WHERE tenant_id = $1 ORDER BY created_at, id', [
        tenantId,
      ]),
    );
    return rows;
  }
});
