/** Clients and questions of a system whose Postgres goes back in time. */
import { randomUUID } from 'node:crypto';
import { EventSource } from 'eventsource';
import type pg from 'pg';
import { httpTo } from '../support/http.ts';
import { type Session, signIn } from './session.ts';

/** Signs in anew for each token: sessions end with a restore. */
export async function freshSession(...who: Parameters<typeof signIn>): Promise<Session> {
  const first = await signIn(...who);
  return { ...first, token: async () => (await signIn(...who)).token() };
}

export type Stream = {
  /** Ids of orders, as they came. */
  created: string[];
  gaps: string[];
  close(): void;
};

/** Follows `orders` as server-sent events, and comes back by itself with the last id that it had. */
export async function follow(session: Session): Promise<Stream> {
  const source = new EventSource(`${session.url}/v1/events/orders`, {
    fetch: async (input, init) =>
      fetch(input, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${await session.token()}` },
      }),
  });
  const stream: Stream = { created: [], gaps: [], close: () => source.close() };
  source.addEventListener('gap', ({ data }) => stream.gaps.push(JSON.parse(data).reason));
  source.addEventListener('order_created', ({ data }) => stream.created.push(JSON.parse(data).data.order.id));
  await new Promise<void>((resolve) => source.addEventListener('open', () => resolve(), { once: true }));
  return stream;
}

/** A customer who orders the first thing there is; the ids of all orders that were acknowledged. */
export async function openShopper(session: Session) {
  const http = httpTo(session.url);
  const token = await session.token();
  const products = await http('GET', '/v1/products?available=true&limit=1', { token });
  const items = [{ product_id: products.body.data[0].id, quantity: 1 }];
  const placed: string[] = [];
  return {
    placed,
    async place(): Promise<string> {
      const headers = { 'idempotency-key': randomUUID() };
      const answer = await http('POST', '/v1/orders', { token, headers, body: { items } });
      if (answer.status !== 201) throw new Error(`an order was answered ${answer.status}: ${answer.text}`);
      placed.push(answer.body.id);
      return answer.body.id;
    },
    /** Places orders one after the other while the work is done. */
    async during<T>(work: () => Promise<T>): Promise<T> {
      let isOver = false;
      const placing = (async () => {
        while (!isOver) await this.place();
      })();
      try {
        return await work();
      } finally {
        isOver = true;
        await placing;
      }
    },
  };
}

/** What events of orders have brought about: by event, in an order that says nothing. */
export type Effects = { notifications: string[]; deliveries: string[] };

/** Throws while anything is still to be done for an event of the tenant's orders that is not parked. */
export async function effectsOf(db: pg.Pool, tenantId: string): Promise<Effects> {
  const { rows: waiting } = await db.query(
    `SELECT o.id, g.id AS group_id
       FROM orders.outbox o CROSS JOIN (VALUES ('notifications'), ('webhooks')) AS g (id)
      WHERE o.tenant_id = $1 AND o.aggregatetype = 'orders.v1'
        AND NOT EXISTS (SELECT FROM streams.inbox i WHERE i.group_id = g.id AND i.inbox_id = o.id::text)
        AND NOT EXISTS (SELECT FROM streams.parked_record r JOIN streams.parked_key k ON k.id = r.parked_id
                         WHERE k.group_id = g.id AND r.event_id = o.id::text)`,
    [tenantId],
  );
  if (waiting.length > 0) throw new Error(`not handled: ${JSON.stringify(waiting.slice(0, 3))}`);
  const deliveries = await db.query<{ of: string; state: string }>(
    `SELECT m.event_id::text AS of, d.state FROM notifications.webhook_delivery d
       JOIN notifications.webhook_message m ON m.id = d.message_id WHERE d.tenant_id = $1`,
    [tenantId],
  );
  const undelivered = deliveries.rows.filter(({ state }) => state !== 'delivered');
  if (undelivered.length > 0) throw new Error(`not delivered: ${JSON.stringify(undelivered.slice(0, 3))}`);
  const notifications = await db.query<{ of: string }>(
    `SELECT concat_ws(' ', event_id, audience, user_id, order_id, title) AS of
       FROM notifications.notification WHERE tenant_id = $1 AND order_id IS NOT NULL`,
    [tenantId],
  );
  return {
    notifications: notifications.rows.map(({ of }) => of).sort(),
    deliveries: deliveries.rows.map(({ of }) => of).sort(),
  };
}

/** Those of events that Postgres knows. */
export async function known(db: pg.Pool, effects: Effects): Promise<Effects> {
  const { rows } = await db.query<{ id: string }>('SELECT id::text FROM orders.outbox');
  const ids = new Set(rows.map(({ id }) => id));
  const isKnown = (of: string) => ids.has(of.split(' ')[0] ?? '');
  return {
    notifications: effects.notifications.filter(isKnown),
    deliveries: effects.deliveries.filter(isKnown),
  };
}
