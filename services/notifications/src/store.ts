/** Notifications and who read them; each change is also an event in the outbox, in the same transaction. */
import { appendOutbox } from '@ragline/postgres/outbox';
import { type Client, inTenant, inTransaction, type Pool, setTenant } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { NotificationEvent } from '@ragline/schemas/types.generated';
import { fateOf } from '@ragline/streams/inbox';
import type { NewNotification } from './domain.ts';
import { createOrderedIds } from './ordered-ids.ts';
import { type Encode, outboxRow } from './outbox.ts';
import type { Reader } from './reader.ts';

/** A notification as its reader sees it. */
export type Notification = {
  id: string;
  kind: string;
  event_id: string;
  order_id: string | null;
  title: string;
  read_at: string | null;
  created_at: string;
};

/** What one event brings, with the trace it belongs to. */
export type Notice = { event_id: string; traceparent: string; notifications: NewNotification[] };

export type NotificationStore = ReturnType<typeof notificationStore>;

type Row = Omit<Notification, 'read_at' | 'created_at'> & { read_at: Date | null; created_at: Date };

const nextId = createOrderedIds(Date.now);

/** @param encoder gives the encoder of `notification_v1`; asked before a transaction begins, since it may have to wait */
export function notificationStore(pool: Pool, encoder: () => Promise<Encode>) {
  return {
    /**
     * Gives what keeps, within the caller's transaction, what events bring. It asks for the encoder before, so that
     * no transaction waits for the registry.
     */
    async keeper(): Promise<(client: Client, notices: readonly Notice[]) => Promise<void>> {
      const encode = await encoder();
      return async (client, notices) => {
        for (const [tenantId, ofTenant] of byTenant(notices)) {
          await setTenant(client, tenantId);
          await keepOfTenant(client, ofTenant, encode);
        }
      };
    },

    /**
     * A page of what the reader may see, newest first: one row more than the limit when there are more.
     *
     * @param unread true: not read yet; false: read; undefined: all
     * @param before the id to go on behind
     */
    list(
      reader: Reader,
      page: { unread: boolean | undefined; before: string | undefined; limit: number },
    ): Promise<Notification[]> {
      return inTenant(pool, reader.tenant_id, async (client) => {
        const asked = await client.query<{ unlisted: string[] }>({
          name: 'notifications_unlisted',
          text: unlistedSql,
          values: [reader.tenant_id, reader.user_id],
        });
        const unlisted = asked.rows[0]?.unlisted ?? [];
        const { rows } = await client.query<Row>({
          ...(unlisted.includes('order_created') ? lists.withoutOrders : lists.all),
          values: [
            reader.tenant_id,
            reader.user_id,
            reader.is_staff,
            page.before ?? null,
            page.unread ?? null,
            page.limit + 1,
            unlisted,
          ],
        });
        return rows.map(notificationOf);
      });
    },

    /** Marks one as read by the reader; undefined when he may not see it. A second time changes nothing. */
    async markRead(reader: Reader, id: string): Promise<Notification | undefined> {
      const encode = await encoder();
      return inTenant(pool, reader.tenant_id, async (client) => {
        const { rows } = await client.query<Row & { fresh: boolean }>({
          name: 'notifications_mark_read',
          text: markReadSql,
          values: [reader.tenant_id, reader.user_id, reader.is_staff, id],
        });
        const [row] = rows;
        if (row === undefined) return undefined;
        const notification = notificationOf(row);
        if (row.fresh) await publish(client, readEvent(reader, notification), encode);
        return notification;
      });
    },

    /** Marks all that the reader may see as read; how many were not. */
    async markAllRead(reader: Reader): Promise<number> {
      const encode = await encoder();
      return inTenant(pool, reader.tenant_id, async (client) => {
        const { rowCount } = await client.query({
          name: 'notifications_mark_all_read',
          text: markAllReadSql,
          values: [reader.tenant_id, reader.user_id, reader.is_staff],
        });
        if (rowCount) await publish(client, readEvent(reader, null), encode);
        return rowCount ?? 0;
      });
    },

    /**
     * What became of an event in the group; undefined when it has not been handled.
     *
     * @param tenantId of whom it must have made a notification; undefined asks for nobody in particular
     */
    fate(groupId: string, eventId: string, tenantId: string | undefined) {
      if (tenantId === undefined) return inTransaction(pool, (client) => fateOf(client, groupId, eventId));
      return inTenant(pool, tenantId, async (client) => {
        const { rowCount } = await client.query({
          name: 'notifications_of_event',
          text: 'SELECT FROM notifications.notification WHERE tenant_id = $1 AND event_id = $2 LIMIT 1',
          values: [tenantId, eventId],
        });
        return rowCount ? fateOf(client, groupId, eventId) : undefined;
      });
    },
  };
}

// What a reader may see: his own (digests of what is for staff only while he is), and, as staff, what is for staff since
// his account was made. Both ids are UUIDv7, which begin with their time, so that comparing them tells, by the index alone.
export const isOwn = `n.tenant_id = $1 AND n.audience = 'user' AND n.user_id = $2 AND (NOT n.while_staff OR $3)`;
export const isForStaff = `n.tenant_id = $1 AND n.audience = 'staff' AND $3
  AND n.id > CASE uuid_extract_version($2) WHEN 7 THEN $2 ELSE '00000000-0000-0000-0000-000000000000' END`;
const markOf = (column: string) => `(
  SELECT ${column} FROM notifications.notification_read r
   WHERE r.tenant_id = $1 AND r.user_id = $2 AND r.notification_id = n.id)`;

const unlistedSql = 'SELECT unlisted FROM notifications.preference WHERE tenant_id = $1 AND user_id = $2';

// Each side is cut by itself, and marks are looked up row by row: joined first, a page would cost as much as all rows.
const pageOf = (visible: string, listed = '') => `(
  SELECT n.id, n.kind, n.event_id, n.order_id, n.title, ${markOf('r.read_at')} AS read_at, n.created_at
    FROM notifications.notification n
   WHERE ${visible} ${listed} AND n.kind <> ALL ($7)
     AND ($4::uuid IS NULL OR n.id < $4)
     AND ($5::boolean IS NULL OR NOT EXISTS ${markOf('')} = $5)
   ORDER BY n.id DESC
   LIMIT $6)`;

const listOf = (listed = '') =>
  `${pageOf(isOwn)} UNION ALL ${pageOf(isForStaff, listed)} ORDER BY id DESC LIMIT $6`;

// Nearly all that is for staff are new orders. Who leaves those out reads an index without them: by the usual one a page
// would be looked for among all orders that the tenant ever had.
const lists = {
  all: { name: 'notifications_list', text: listOf() },
  withoutOrders: {
    name: 'notifications_list_without_orders',
    text: listOf("AND n.kind <> 'order_created'"),
  },
};

const markReadSql = `
  WITH n AS (SELECT * FROM notifications.notification n WHERE id = $4 AND (${isOwn} OR ${isForStaff})),
  marked AS (
    INSERT INTO notifications.notification_read (tenant_id, user_id, notification_id, read_at)
    SELECT $1, $2, id, clock_timestamp() FROM n
    ON CONFLICT DO NOTHING
    RETURNING read_at
  )
  SELECT n.id, n.kind, n.event_id, n.order_id, n.title, n.created_at,
         coalesce(m.read_at, ${markOf('r.read_at')}, now()) AS read_at, m.read_at IS NOT NULL AS fresh
    FROM n LEFT JOIN marked m ON true`;

const unreadOf = (visible: string) =>
  `SELECT n.id FROM notifications.notification n WHERE ${visible} AND NOT EXISTS ${markOf('')}`;

// Sorted, so that all are found before the first mark is made: a scan that meets its own marks never comes to an end.
const markAllReadSql = `
  INSERT INTO notifications.notification_read (tenant_id, user_id, notification_id, read_at)
  SELECT $1, $2, id, clock_timestamp()
    FROM (${unreadOf(isOwn)} UNION ALL ${unreadOf(isForStaff)}) unread
   ORDER BY id
  ON CONFLICT DO NOTHING`;

async function keepOfTenant(client: Client, notices: readonly Notice[], encode: Encode): Promise<void> {
  const made = notices.flatMap(({ notifications, traceparent }) =>
    notifications.map((it) => ({ ...it, id: nextId(), traceparent })),
  );
  if (made.length === 0) return;
  // The time is the database's: digests and preferences are judged by it, whatever the clocks of instances show.
  const { rows: kept } = await client.query<{ created_at: Date }>({
    name: 'notifications_keep',
    text: `WITH clock AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS at)
           INSERT INTO notifications.notification
             (id, tenant_id, audience, user_id, kind, event_id, order_id, title, created_at)
           SELECT made.*, clock.at
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::text[]) made,
                  clock
           RETURNING created_at`,
    values: [
      made.map(({ id }) => id),
      made.map(({ tenant_id }) => tenant_id),
      made.map(({ audience }) => audience),
      made.map(({ user_id }) => user_id),
      made.map(({ kind }) => kind),
      made.map(({ event_id }) => event_id),
      made.map(({ order_id }) => order_id),
      made.map(({ title }) => title),
    ],
  });
  const created_at = (kept[0]?.created_at ?? new Date()).toISOString();
  const rows = made.map(({ traceparent, audience, user_id, tenant_id, ...it }) => {
    const { id, kind, event_id, order_id, title } = it;
    const event: NotificationEvent = {
      event_id: nextId(),
      event_type: 'notification_created',
      occurred_at: created_at,
      tenant_id,
      user_id: user_id ?? '',
      audience,
      while_staff: false,
      preferences: null,
      notification: { id, kind, event_id, order_id, title, read_at: null, created_at },
    };
    return outboxRow(event, traceparent, encode);
  });
  await appendOutbox(client, 'notifications', rows);
}

function readEvent(reader: Reader, notification: Notification | null): NotificationEvent {
  return {
    event_id: nextId(),
    event_type: notification === null ? 'notifications_read_all' : 'notification_read',
    occurred_at: new Date().toISOString(),
    tenant_id: reader.tenant_id,
    user_id: reader.user_id,
    audience: 'user',
    // A digest of staff is read by him alone, and the mark is his.
    while_staff: false,
    preferences: null,
    notification,
  };
}

async function publish(client: Client, event: NotificationEvent, encode: Encode): Promise<void> {
  await appendOutbox(client, 'notifications', [outboxRow(event, currentTraceparent(), encode)]);
}

function notificationOf({ id, kind, event_id, order_id, title, read_at, created_at }: Row): Notification {
  const times = { read_at: read_at?.toISOString() ?? null, created_at: created_at.toISOString() };
  return { id, kind, event_id, order_id, title, ...times };
}

function byTenant(notices: readonly Notice[]): Map<string, Notice[]> {
  const tenants = new Map<string, Notice[]>();
  for (const notice of notices) {
    const tenantId = notice.notifications[0]?.tenant_id;
    if (tenantId === undefined) continue;
    const ofTenant = tenants.get(tenantId);
    if (ofTenant === undefined) tenants.set(tenantId, [notice]);
    else ofTenant.push(notice);
  }
  return tenants;
}
