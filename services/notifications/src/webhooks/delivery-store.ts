/** Deliveries: stored with the event, listed with every try, asked for again. */
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import { createOrderedIds } from '../ordered-ids.ts';

export type Attempt = {
  number: number;
  at: string;
  duration_ms: number | null;
  status: number | null;
  error_code: string | null;
  answer: string | null;
};

export type Delivery = {
  id: string;
  webhook_id: string;
  event_id: string;
  event_type: string;
  state: 'waiting' | 'delivered' | 'failed';
  attempt_count: number;
  next_attempt_at: string | null;
  created_at: string;
  finished_at: string | null;
  attempts: Attempt[];
};

/** What an event brings: the message, and for which endpoints. */
export type NewMessage = {
  tenant_id: string;
  event_id: string;
  event_type: string;
  occurred_at: string;
  body: string;
  traceparent: string;
  webhook_ids: readonly string[];
};

/** An endpoint as the group asks for it. */
export type Listener = { id: string; tenant_id: string; event_types: string[]; created_at: Date };

type Row = Omit<Delivery, 'next_attempt_at' | 'created_at' | 'finished_at' | 'attempts'> & {
  next_at: Date | null;
  created_at: Date;
  finished_at: Date | null;
  attempts: (Omit<Attempt, 'at'> & { at: string })[];
};

const nextId = createOrderedIds(Date.now);

/** After so many it is not asked for again: its tries would grow without end, and every one of them is shown. */
export const attemptsMax = 100;
/** Of the answers in a page; it is made in memory, by the process that holds everybody's sockets. */
const pageBytesMax = 1_024 * 1_024;
/** A try in JSON, without what was answered. */
const attemptBytes = 150;

/** Active endpoints of these tenants; in a transaction that sees all. */
export async function listenersOf(client: Client, tenantIds: readonly string[]): Promise<Listener[]> {
  const { rows } = await client.query<Listener>({
    name: 'webhooks_listeners',
    text: `SELECT id, tenant_id, event_types, created_at FROM notifications.webhook
            WHERE tenant_id = ANY ($1::uuid[]) AND active`,
    values: [tenantIds],
  });
  return rows;
}

/**
 * Stores messages and a delivery for each of their endpoints; an event that has a message gets no second. Gives the
 * deliveries that there are now.
 */
export async function storeMessages(client: Client, messages: readonly NewMessage[]): Promise<string[]> {
  if (messages.length === 0) return [];
  const made = messages.map((message) => ({ ...message, id: nextId() }));
  const { rows: kept } = await client.query<{ id: string }>({
    name: 'webhooks_store_messages',
    text: `INSERT INTO notifications.webhook_message (id, tenant_id, event_id, event_type, occurred_at, body, traceparent)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::text[])
           ON CONFLICT (event_id) DO NOTHING RETURNING id`,
    values: [
      made.map(({ id }) => id),
      made.map(({ tenant_id }) => tenant_id),
      made.map(({ event_id }) => event_id),
      made.map(({ event_type }) => event_type),
      made.map(({ occurred_at }) => occurred_at),
      made.map(({ body }) => body),
      made.map(({ traceparent }) => traceparent),
    ],
  });
  const fresh = new Set(kept.map(({ id }) => id));
  const deliveries = made
    .filter(({ id }) => fresh.has(id))
    .flatMap(({ id: message_id, tenant_id, webhook_ids }) =>
      webhook_ids.map((webhook_id) => ({ id: nextId(), tenant_id, webhook_id, message_id })),
    );
  const { rows: stored } = await client.query<{ id: string }>({
    name: 'webhooks_store_deliveries',
    // An endpoint that was removed meanwhile is told nothing.
    text: `INSERT INTO notifications.webhook_delivery (id, tenant_id, webhook_id, message_id, next_at)
           SELECT new.id, new.tenant_id, new.webhook_id, new.message_id, clock_timestamp()
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS new(id, tenant_id, webhook_id, message_id)
             JOIN (SELECT w.id FROM notifications.webhook w WHERE w.id = ANY ($3::uuid[]) AND w.removed_at IS NULL FOR KEY SHARE) there
               ON there.id = new.webhook_id
           RETURNING id`,
    values: [
      deliveries.map(({ id }) => id),
      deliveries.map(({ tenant_id }) => tenant_id),
      deliveries.map(({ webhook_id }) => webhook_id),
      deliveries.map(({ message_id }) => message_id),
    ],
  });
  return stored.map(({ id }) => id);
}

/**
 * A page of deliveries with every try and what was answered, newest first. It ends before its limit where it would become
 * too large: by as many answers as a delivery can have, at most.
 */
export async function listDeliveries(
  client: Client,
  tenantId: string,
  webhookId: string,
  page: { state: Delivery['state'] | undefined; before: string | undefined; limit: number },
): Promise<{ deliveries: Delivery[]; hasMore: boolean }> {
  const { rows: sized } = await client.query<{ id: string; bytes: number }>({
    name: `webhooks_list_deliveries_${page.state ?? 'all'}`,
    text: `SELECT d.id, (SELECT coalesce(sum(octet_length(a.answer)), 0)::int + count(*)::int * ${attemptBytes}
                           FROM notifications.webhook_attempt a WHERE a.delivery_id = d.id) AS bytes
             FROM notifications.webhook_delivery d
            WHERE d.tenant_id = $1 AND d.webhook_id = $2 ${stateSql(page.state)}
              AND ($3::uuid IS NULL OR d.id < $3) ORDER BY d.id DESC LIMIT $4`,
    values: [tenantId, webhookId, page.before ?? null, page.limit + 1],
  });
  const count = fittingCount(
    sized.slice(0, page.limit).map(({ bytes }) => bytes),
    pageBytesMax,
  );
  const { rows } = await client.query<Row>({
    name: 'webhooks_deliveries',
    text: `${deliverySql('answer')} WHERE d.tenant_id = $1 AND d.id = ANY ($2) ORDER BY d.id DESC`,
    values: [tenantId, sized.slice(0, count).map(({ id }) => id)],
  });
  return { deliveries: rows.map(deliveryOf), hasMore: sized.length > count };
}

/** How many of the first come to no more than the most; one at least, where there is one. */
export function fittingCount(bytes: readonly number[], most: number): number {
  let sum = 0;
  const tooMuch = bytes.findIndex((it, place) => {
    sum += it;
    return place > 0 && sum > most;
  });
  return tooMuch === -1 ? bytes.length : tooMuch;
}

/** @param withAnswers false leaves out what was answered: much, where it is not what was asked for */
export async function findDelivery(
  client: Client,
  tenantId: string,
  id: string,
  { withAnswers = true } = {},
): Promise<Delivery | undefined> {
  const { rows } = await client.query<Row>({
    name: `webhooks_find_delivery${withAnswers ? '' : '_bare'}`,
    text: `${deliverySql(withAnswers ? 'answer' : 'NULL AS answer')} WHERE d.tenant_id = $1 AND d.id = $2`,
    values: [tenantId, id],
  });
  return rows.map(deliveryOf)[0];
}

export type Redelivery = 'asked' | 'not_found' | 'inactive' | 'under_way' | 'too_often';

/** Makes it due now, at the beginning of the schedule, under its own id. */
export async function redeliver(client: Client, tenantId: string, id: string): Promise<Redelivery> {
  const { rows } = await client.query<{ active: boolean; under_way: boolean; attempts: number }>({
    name: 'webhooks_lock_delivery',
    // The endpoint first, as everyone who needs both.
    text: `WITH w AS MATERIALIZED (
             SELECT id, active FROM notifications.webhook
              WHERE id = (SELECT webhook_id FROM notifications.webhook_delivery WHERE tenant_id = $1 AND id = $2)
                AND removed_at IS NULL FOR SHARE)
           SELECT w.active, d.attempts, coalesce(d.claimed_until > clock_timestamp(), false) AS under_way
             FROM w JOIN notifications.webhook_delivery d ON d.webhook_id = w.id AND d.id = $2 FOR UPDATE OF d`,
    values: [tenantId, id],
  });
  const [row] = rows;
  if (row === undefined) return 'not_found';
  if (!row.active) return 'inactive';
  if (row.under_way) return 'under_way';
  if (row.attempts >= attemptsMax) return 'too_often';
  await client.query({
    name: 'webhooks_redeliver',
    text: `UPDATE notifications.webhook_delivery
              SET state = 'waiting', tries = 0, next_at = clock_timestamp(), finished_at = NULL
            WHERE tenant_id = $1 AND id = $2`,
    values: [tenantId, id],
  });
  return 'asked';
}

export type TracedDelivery = {
  webhook_id: string;
  delivery_id: string;
  state: string;
  attempts: number;
  last_status: number | null;
  last_error_code: string | null;
  created_at: string;
  finished_at: string | null;
};

const tracedMax = 100;

/**
 * What became of an event's deliveries; no urls, which are the admins'.
 *
 * @param tenantId whose event it must be; undefined: anybody's
 */
export async function tracedDeliveries(
  pool: Pool,
  eventId: string,
  tenantId: string | undefined,
  seeAll: (client: Client) => Promise<void>,
): Promise<TracedDelivery[]> {
  return inTenant(pool, tenantId ?? '', async (client) => {
    if (tenantId === undefined) await seeAll(client);
    const { rows } = await client.query<
      Omit<TracedDelivery, 'created_at' | 'finished_at'> & { created_at: Date; finished_at: Date | null }
    >({
      name: 'webhooks_trace',
      text: `SELECT d.webhook_id, d.id AS delivery_id, d.state, d.attempts, a.status AS last_status,
                    a.error_code AS last_error_code, d.created_at, d.finished_at
               FROM notifications.webhook_message m
               JOIN notifications.webhook_delivery d ON d.message_id = m.id
               JOIN notifications.webhook w ON w.id = d.webhook_id AND w.removed_at IS NULL
               LEFT JOIN LATERAL (SELECT status, error_code FROM notifications.webhook_attempt
                                   WHERE delivery_id = d.id ORDER BY number DESC LIMIT 1) a ON true
              WHERE m.event_id = $1 AND ($2::uuid IS NULL OR m.tenant_id = $2) ORDER BY d.id LIMIT $3`,
      values: [eventId, tenantId ?? null, tracedMax],
    });
    return rows.map(({ created_at, finished_at, ...row }) => ({
      ...row,
      created_at: created_at.toISOString(),
      finished_at: finished_at?.toISOString() ?? null,
    }));
  });
}

/** Literally, and in a statement of its own: only so the index of failed ones is one that can be used. */
function stateSql(state: Delivery['state'] | undefined): string {
  return state === undefined ? '' : `AND d.state = '${state}'`;
}

const deliverySql = (answer: 'answer' | 'NULL AS answer') => `
  SELECT d.id, d.webhook_id, m.event_id, m.event_type, d.state, d.attempts AS attempt_count,
         CASE WHEN d.state = 'waiting'
              THEN greatest(d.next_at, CASE WHEN w.open_until > clock_timestamp() THEN w.open_until END) END AS next_at,
         d.created_at, d.finished_at,
         (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.number), '[]')
            FROM (SELECT number, at, duration_ms, status, error_code, ${answer}
                    FROM notifications.webhook_attempt WHERE delivery_id = d.id) a) AS attempts
    FROM notifications.webhook_delivery d
    JOIN notifications.webhook w ON w.id = d.webhook_id AND w.removed_at IS NULL
    JOIN notifications.webhook_message m ON m.id = d.message_id`;

function deliveryOf({ next_at, created_at, finished_at, attempts, ...row }: Row): Delivery {
  return {
    id: row.id,
    webhook_id: row.webhook_id,
    event_id: row.event_id,
    event_type: row.event_type,
    state: row.state,
    attempt_count: row.attempt_count,
    next_attempt_at: next_at?.toISOString() ?? null,
    created_at: created_at.toISOString(),
    finished_at: finished_at?.toISOString() ?? null,
    attempts: attempts.map(({ number, at, duration_ms, status, error_code, answer }) => ({
      number,
      at: new Date(at).toISOString(),
      duration_ms,
      status,
      error_code,
      answer,
    })),
  };
}
