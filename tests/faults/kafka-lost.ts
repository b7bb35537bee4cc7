/** What a system remembers of its events and their effects, before and after Kafka's disk is lost. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createServer } from 'node:http';
import { appendOutbox } from '@ragline/postgres/outbox';
import { createPool, inTenant } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { allTopics, topics } from '@ragline/schemas/topics';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { createTailClient } from '@ragline/streams/tail-client';
import type pg from 'pg';
import type { Stack } from '../../infra/local/start-stack.ts';
import { fromOutbox } from '../../tools/src/streams/outbox-rows.ts';
import { boundsOf, recordsOf } from '../../tools/src/streams/topic-records.ts';
import { type Session, signIn } from './session.ts';

/** By topic, partition and key, in order: each record's id, and all that it is made of. Between keys there is no order. */
export type Records = Map<string, { id: string; whole: string }[]>;

export const signInTo = ({ env }: Stack, tenant: string, who: string): Promise<Session> =>
  signIn(env.RAGLINE_URL ?? '', tenant, `${who}@${tenant}.example`, env.RAGLINE_DEMO_PASSWORD ?? '');

/** All that lies on topics of outboxes. */
export async function recordsIn({ env }: Stack): Promise<Records> {
  const kafka = {
    brokers: [env.KAFKA_BROKERS ?? ''],
    username: env.KAFKA_USERNAME,
    password: env.KAFKA_PASSWORD,
  };
  const client = createTailClient({ kafka, clientId: 'test-kafka-lost' });
  try {
    const records: Records = new Map();
    for (const { name } of fromOutbox(allTopics)) {
      const bounds = await boundsOf(client, name);
      for await (const { partition, id, key, value, headers } of recordsOf(client, name, bounds)) {
        const place = `${name}/${partition} ${key}`;
        const whole = [key, value, ...headers.flat()].map((it) => it?.toString('base64') ?? '-').join(' ');
        records.set(place, [...(records.get(place) ?? []), { id: id ?? '', whole }]);
      }
    }
    return records;
  } finally {
    await client.close();
  }
}

/** How many of each effect there are; orders of the tenant only, since the sentinel places its own all the while. */
export async function effectsIn(db: pg.Pool, tenantId: string): Promise<Record<string, number>> {
  const { rows } = await db.query<Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM notifications.notification WHERE tenant_id = $1) AS notifications,
            (SELECT count(*)::int FROM notifications.webhook_delivery) AS deliveries,
            (SELECT count(*)::int FROM dead_letters.letter) AS letters,
            (SELECT count(*)::int FROM dead_letters.attempt) AS attempts_of_letters,
            (SELECT count(*)::int FROM streams.parked_record) AS parked,
            (SELECT coalesce(sum(depth), 0)::int FROM streams.parked_key) AS depth,
            (SELECT count(*)::int FROM orders.orders WHERE tenant_id = $1) AS orders,
            (SELECT count(*)::int FROM chat.message) AS messages,
            (SELECT coalesce(sum(generation), 0)::int FROM chat.turn) AS generations`,
    [tenantId],
  );
  return rows[0] ?? {};
}

/** Events into the outbox of orders as the service would write them, whatever they say. */
export async function openOutbox({ env }: Pick<Stack, 'env'>) {
  const log = createLogger({ service: 'test', level: 'error' });
  const metrics = createMetrics({ service: 'test' });
  const url = env.DATABASE_URL_RAGLINE_ORDERS ?? '';
  const pool = createPool({ url, max: 1, applicationName: 'test-kafka-lost', log, metrics });
  const encode = await createCodec({ registryUrl: env.SCHEMA_REGISTRY_URL ?? '' }).encoder('order_v1');
  return {
    async append(event: OrderEvent): Promise<void> {
      const { event_id: id, event_type, tenant_id, user_id, order } = event;
      const row = {
        ...{ id, event_type, tenant_id, user_id, topic: topics.orders.name, key: order.id },
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        payload: encode(event),
      };
      await inTenant(pool, tenant_id, (client) => appendOutbox(client, 'orders', [row]));
    },
    close: () => pool.end(),
  };
}

/** The events of one order: the first cannot be handled (nobody has such an id), the others wait behind it. */
export function aLine(of: { tenant_id: string; user_id: string }): OrderEvent[] {
  const id = randomUUIDv7();
  return (['pending', 'confirmed', 'preparing'] as const).map((status, at) => {
    const event = anOrderEvent(at === 0 ? { ...of, user_id: 'nobody' } : of);
    const order = { ...event.order, id, user_id: event.user_id, status, version: at + 1 };
    if (at === 0) return { ...event, order };
    const previous_status = at === 1 ? 'pending' : 'confirmed';
    return { ...event, event_type: 'order_status_changed', previous_status, order };
  });
}

/** A receiver of webhooks; ids of the messages that it took, each time they came. */
export async function startReceiver(): Promise<{ url: string; taken: string[]; stop(): Promise<void> }> {
  const taken: string[] = [];
  const server = createServer((req, res) => {
    taken.push(String(req.headers['webhook-id']));
    req.resume().on('end', () => res.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    url: `http://127.0.0.1:${address.port}/`,
    taken,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
