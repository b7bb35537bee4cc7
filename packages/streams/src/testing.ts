/** A topic and a group of their own for a test, on the real Kafka and registry. */
import { randomUUID } from 'node:crypto';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import type { Message } from 'kafkajs';
import pg from 'pg';
import { stack } from '../../../tests/support/stack.ts';
import { type ConsumerOptions, type Running, startConsumer } from './consumer.ts';
import { createKafka } from './kafka-client.ts';
import { makeTopics } from './make-topics.ts';
import { type OutgoingRecord, startProducer } from './producer.ts';
import type { ConsumedRecord } from './record.ts';
import { retryTopicsOf } from './retry/names.ts';
import type { RetryOptions } from './run-parts.ts';
import type { Handling } from './work.ts';

export type Scene = Awaited<ReturnType<typeof openScene>>;

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * @param partitions of the topic; the dead letters have one, so that their order shows
 * @param delaysMs the tiers of a group without order, made when there are any, and the waits of one that keeps it
 */
export async function openScene({ partitions = 3, delaysMs = [] as readonly number[] } = {}) {
  const { kafka: access, registryUrl, databaseUrlOf } = stack();
  const kafka = createKafka({ ...access, clientId: 'test', log: quiet });
  const id = randomUUID().slice(0, 8);
  const topic = `test-streams-${id}`;
  const groupId = `test-${id}`;
  const retryTopics = delaysMs.length > 0 ? retryTopicsOf(groupId, delaysMs) : [];
  const configEntries = [
    { name: 'compression.type', value: 'gzip' },
    { name: 'max.message.bytes', value: String(2 * 1024 * 1024) },
  ];
  const admin = kafka.admin();
  await admin.connect();
  await makeTopics(admin, [
    { topic, numPartitions: partitions, configEntries },
    { topic: deadLetterTopicOf(groupId), numPartitions: 1, configEntries },
    ...retryTopics.map((name) => ({ topic: name, numPartitions: partitions, configEntries })),
  ]);
  // Any role that consumes may be a group of tests.
  const pool = new pg.Pool({ connectionString: databaseUrlOf('ragline_notifications'), max: 10 });
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const producer = await startProducer({ kafka, log: quiet });
  const codec = createCodec({ registryUrl });
  const encode = await codec.encoder('order_v1');
  const started: Running[] = [];

  const read = async (
    from: string,
    until: (records: ConsumedRecord[]) => boolean,
  ): Promise<ConsumedRecord[]> => {
    const records: ConsumedRecord[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`${records.length} records of ${from}`)), 20_000);
    const reader = await startConsumer({
      ...base(`test-reader-${randomUUID()}`),
      topics: [{ name: from, schema: null }],
      order: 'none',
      whenExhausted: 'keep-trying',
      concurrency: 1,
      async handleRaw(record) {
        records.push(record);
        if (until(records)) resolve();
        return 'read';
      },
    });
    try {
      if (!until(records)) await promise;
    } finally {
      clearTimeout(timer);
      await reader.stop();
    }
    return records;
  };

  const base = (group: string) => ({
    kafka,
    groupId: group,
    producer,
    log: quiet,
    metrics: createMetrics({ service: 'test' }),
  });

  /** Asks as the database's owner; $1 is the group. */
  async function notes<R extends pg.QueryResultRow>(...texts: string[]): Promise<pg.QueryResult<R>> {
    const owner = new pg.Client({ connectionString: stack().databaseUrl });
    await owner.connect();
    try {
      for (const text of texts.slice(0, -1)) await owner.query(text, [groupId]);
      return await owner.query<R>(texts.at(-1) ?? '', [groupId]);
    } finally {
      await owner.end();
    }
  }

  return {
    kafka,
    admin,
    topic,
    groupId,
    codec,
    producer,
    pool,
    encode,
    notes,
    /** A record of a valid order event, with the headers of the outbox. */
    anEvent(changes: Partial<OrderEvent> = {}, key?: string): OutgoingRecord & { event: OrderEvent } {
      const event = anOrderEvent(changes);
      const { event_id: eventId, event_type, tenant_id, user_id } = event;
      const headers = { id: eventId, event_type, tenant_id, user_id, 'content-type': 'application/avro' };
      return { event, key: key ?? event.order.id, value: encode(event), headers };
    },
    async send(records: readonly Message[]): Promise<void> {
      const sender = kafka.producer();
      await sender.connect();
      await sender.send({ topic, messages: [...records] });
      await sender.disconnect();
    },
    /** Starts a member of the scene's group; it is stopped with the scene. */
    async start(
      handling: Handling,
      options: Partial<
        Pick<ConsumerOptions, 'order' | 'concurrency' | 'batchMax' | 'onFinished' | 'metrics' | 'health'> &
          RetryOptions
      > = {},
    ): Promise<Running> {
      const own = { ...base(groupId), topics: [{ name: topic, schema: 'order_v1' as const }] };
      const retry = delaysMs.length > 0 ? { retry: { delaysMs, jitterMs: 0 } } : {};
      const running = await startConsumer({
        ...own,
        pool,
        order: 'by-key',
        ...retry,
        ...options,
        ...handling,
      });
      started.push(running);
      return running;
    },
    /** Records of any topic, once there are so many. */
    read: (from: string, count: number) => read(from, (records) => records.length >= count),
    /** The group's dead letters, once there are so many. */
    letters: (count: number) => read(deadLetterTopicOf(groupId), (records) => records.length >= count),
    /** Committed offsets of the group, by partition. */
    async committed(): Promise<string[]> {
      const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
      const entries = (found?.partitions ?? []).sort((a, b) => a.partition - b.partition);
      return entries.map(({ offset }) => offset);
    },
    async close(): Promise<void> {
      for (const running of started) await running.stop();
      await producer.stop();
      await admin.deleteTopics({ topics: [topic, deadLetterTopicOf(groupId), ...retryTopics] });
      await admin.disconnect();
      await pool.end();
      await notes(
        `DELETE FROM streams.parked_record WHERE parked_id IN
           (SELECT id FROM streams.parked_key WHERE group_id = $1)`,
        ...['parked_key', 'lease', 'inbox', 'run', 'started'].map(
          (table) => `DELETE FROM streams.${table} WHERE group_id = $1`,
        ),
      );
    },
  };
}
