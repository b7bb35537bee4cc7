/** A consumer group of a test's own on the real parts, whose handler fails as the test says and counts what it does. */

import { randomUUID } from 'node:crypto';
import { createPool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { makeTopics } from '@ragline/streams/make-topics';
import { startProducer } from '@ragline/streams/producer';
import type { DecodedEvent } from '@ragline/streams/record';
import { retryTopicsOf } from '@ragline/streams/retry/names';
import pg from 'pg';
import { stack } from '../support/stack.ts';

export type OwnGroup = Awaited<ReturnType<typeof openGroup>>;

type GroupOptions = {
  order: 'by-key' | 'none';
  partitions?: number;
  /** Throws to let the attempt fail. */
  judge(event: DecodedEvent, attempt: number): void | Promise<void>;
  retryDelaysMs?: readonly number[];
};

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Makes the topics and starts one member. Its effect is the inbox row alone. */
export async function openGroup({ order, partitions = 6, judge, retryDelaysMs = [200, 400] }: GroupOptions) {
  const { kafka: access, registryUrl, databaseUrl, databaseUrlOf } = stack();
  const kafka = createKafka({ ...access, clientId: 'test', log: quiet });
  const id = randomUUID().slice(0, 8);
  const topic = `test-faults-${id}`;
  const groupId = `test-${id}`;
  const metrics = createMetrics({ service: 'test' });
  const aside = order === 'none' ? retryTopicsOf(groupId, retryDelaysMs) : [];
  const names = [topic, `${groupId}.dlq`, ...aside];
  const admin = kafka.admin();
  await admin.connect();
  await makeTopics(
    admin,
    names.map((name) => ({
      topic: name,
      numPartitions: partitions,
      configEntries: [
        { name: 'compression.type', value: 'gzip' },
        { name: 'max.message.bytes', value: String(2 * 1024 * 1024) },
      ],
    })),
  );
  const pool = createPool({
    url: databaseUrlOf('ragline_notifications'),
    max: 12,
    applicationName: groupId,
    log: quiet,
    metrics,
  });
  // As the owner: a group's role sees its tables by functions only.
  const owner = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const producer = await startProducer({ kafka, log: quiet });
  const codec = createCodec({ registryUrl });
  const encode = await codec.encoder('order_v1');

  /** How often each event's handler was called, by what tells content apart from ids: the order and its version. */
  const calls = new Map<string, number>();
  /** Versions in the order in which they took effect, by order. */
  const effects = new Map<string, number[]>();
  const attempts: number[] = [];

  const consumer = await startConsumer({
    kafka,
    groupId,
    topics: [{ name: topic, schema: 'order_v1' }],
    order,
    codec,
    pool,
    producer,
    log: quiet,
    metrics,
    concurrency: 8,
    retry: { delaysMs: retryDelaysMs },
    // These groups are poisoned on purpose.
    floodGuard: false,
    async handle(event, { attempt, once }) {
      if (event.schema !== 'order_v1') return 'ignored';
      const { id: orderId, version } = event.value.order;
      const step = stepOf(event.value);
      calls.set(step, (calls.get(step) ?? 0) + 1);
      attempts.push(attempt);
      await judge(event, attempt);
      const done = await once(async () => true);
      if (done !== true) return 'duplicate';
      effects.set(orderId, [...(effects.get(orderId) ?? []), version]);
      return 'handled';
    },
  });

  return {
    kafka,
    groupId,
    topic,
    calls,
    effects,
    attempts,
    /** Resolves when all are stored. */
    async send(events: readonly OrderEvent[]): Promise<void> {
      for (let at = 0; at < events.length; at += 1_000) {
        await producer.send(topic, events.slice(at, at + 1_000).map(recordOf));
      }
    },
    /** The group's inbox: ids by outcome. */
    async inbox(): Promise<Record<string, number>> {
      const { rows } = await owner.query<{ outcome: string; ids: number }>(
        'SELECT outcome, count(*)::int AS ids FROM streams.inbox WHERE group_id = $1 GROUP BY outcome',
        [groupId],
      );
      return Object.fromEntries(rows.map(({ outcome, ids }) => [outcome, ids]));
    },
    /** Records that wait in lines. */
    async parked(): Promise<number> {
      const { rows } = await owner.query<{ records: number }>(
        'SELECT coalesce(sum(depth), 0)::int AS records FROM streams.parked_key WHERE group_id = $1',
        [groupId],
      );
      return rows[0]?.records ?? 0;
    },
    /** Records of the group's dead letter topic so far. */
    async announced(): Promise<number> {
      const ends = await admin.fetchTopicOffsets(`${groupId}.dlq`);
      return ends.reduce((sum, { high }) => sum + Number(high), 0);
    },
    async close(): Promise<void> {
      await consumer.stop();
      await producer.stop();
      await admin.deleteTopics({ topics: names });
      await admin.disconnect();
      await forget(owner, groupId);
      await owner.end();
      await pool.end();
    },
  };

  function recordOf(event: OrderEvent) {
    const { event_id, event_type, tenant_id, user_id, order: it } = event;
    const headers = { id: event_id, event_type, tenant_id, user_id, 'content-type': 'application/avro' };
    return { key: it.id, value: encode(event), headers };
  }
}

/** What a handler is called with, whatever id an edit gave it. */
export function stepOf({ order }: OrderEvent): string {
  return `${order.id}@${order.version}`;
}

async function forget(owner: pg.Pool, groupId: string): Promise<void> {
  await owner.query(
    'DELETE FROM streams.parked_record WHERE parked_id IN (SELECT id FROM streams.parked_key WHERE group_id = $1)',
    [groupId],
  );
  for (const table of ['streams.parked_key', 'streams.lease', 'streams.inbox', 'dead_letters.letter']) {
    await owner.query(`DELETE FROM ${table} WHERE group_id = $1`, [groupId]);
  }
}
