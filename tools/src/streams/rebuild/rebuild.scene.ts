/** A database, a topic, a slot and a connector of a test's own. */
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { appendOutbox, type OutboxRow } from '@ragline/postgres/outbox';
import { inTenant } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createLogger } from '@ragline/runtime/logger';
import type { Topic } from '@ragline/schemas/topics';
import { createKafka } from '@ragline/streams/kafka-client';
import { postgresStore } from '@ragline/streams/parking/postgres-store';
import { aParkable, appendOne, dead, roomy } from '@ragline/streams/parking/testing';
import { createTailClient } from '@ragline/streams/tail-client';
import pg from 'pg';
import { eventually } from '../../../../tests/support/eventually.ts';
import { stack } from '../../../../tests/support/stack.ts';
import { makeBenchTopic } from '../../bench/parts/bench-topic.ts';
import { applyConnector } from '../../parts/apply-connector.ts';
import { connectClient } from '../../parts/connect.ts';
import { withAdmin } from '../../parts/kafka.ts';
import { boundsOf, recordsOf } from '../topic-records.ts';
import { holdConnector } from './connector.ts';
import type { RebuildOptions } from './rebuild.ts';
import { recreateTopics } from './recreate.ts';

const unnoted = { begin: async () => {}, undo: async () => {} };

/** A record as it lies on the topic, whole; bytes as base64. */
export type SeenRecord = { partition: number; key: string; value: string; headers: [string, string][] };

export type RebuildScene = Awaited<ReturnType<typeof openRebuildScene>>;

export async function openRebuildScene() {
  const parts = stack();
  const log = createLogger({ service: 'test', level: 'error' });
  const kafka = createKafka({ ...parts.kafka, clientId: 'test-rebuild', log });
  const name = `test_${randomBytes(6).toString('hex')}`;
  const database = await scratchDatabase();
  const pool = poolOf('ragline_orders', 4, database.name);
  const consumers = poolOf('ragline_notifications', 1, database.name);
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  const topic: Topic = await withAdmin(kafka, makeBenchTopic);
  const cdc = new URL(parts.databaseUrlOf('ragline_cdc'));
  cdc.pathname = `/${database.name}`;
  const connector = {
    connectUrl: parts.connectUrl,
    cdcUrl: cdc.href,
    name,
    changes: {
      'topic.prefix': name,
      'slot.name': name,
      'table.include.list': 'orders.outbox',
      'predicates.event.pattern': `${name}\\..*`,
      // Its topic would be one more.
      'heartbeat.interval.ms': '0',
    },
  };
  const options: RebuildOptions = {
    databaseUrl: database.url,
    kafka,
    access: parts.kafka,
    connector,
    slotName: name,
    topics: [topic],
    tables: ['orders.outbox'],
  };
  const makeSlot = () => admin.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name]);
  const dropSlot = () =>
    admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
      name,
    ]);
  await makeSlot();

  return {
    options,
    lostOptions: {
      ...{ databaseUrl: database.url, cdcUrl: cdc.href, access: parts.kafka },
      ...{ topics: [topic], tables: options.tables },
    },
    /** The topic as a Kafka has it that lost its disk. */
    makeAnew: () => withAdmin(kafka, (it) => recreateTopics(it, [topic], unnoted)),
    admin,
    topic,
    kafka,
    dropSlot,
    startConnector: () => applyConnector({ ...connector, resume: true }),
    stopConnector: () => holdConnector(connector),
    /** Appends one row for each key, a transaction each, in this order; their ids. */
    async write(keys: readonly string[]): Promise<string[]> {
      const ids: string[] = [];
      for (const key of keys) {
        const row = aRow(topic.name, key);
        await inTenant(pool, row.tenant_id, (client) => appendOutbox(client, 'orders', [row]));
        ids.push(row.id);
      }
      return ids;
    },
    /** Parks a record of a key of its own at that offset of partition 0; its line takes further ones. */
    async parkAt(offset: number) {
      const store = postgresStore(consumers);
      const place = { group_id: `test-${name}`, topic: topic.name, partition: 0 };
      const key = randomUUIDv7();
      const { lease } = await store.assign(place, 'test');
      await store.park(lease, aParkable(offset, key), Date.now(), dead);
      return {
        /** What becomes of an event of the same key, at that offset of the topic as it is now. */
        async append(next: number) {
          const { lease: now } = await store.assign(place, 'test');
          return appendOne(store, now, aParkable(next, key), roomy);
        },
      };
    },
    /** All that is on the topic, partition by partition. */
    async records(): Promise<SeenRecord[]> {
      const client = createTailClient({ kafka: parts.kafka, clientId: name });
      try {
        const seen: SeenRecord[] = [];
        const bounds = await boundsOf(client, topic.name);
        for await (const { partition, key, value, headers } of recordsOf(client, topic.name, bounds)) {
          seen.push({
            partition,
            key: String(key),
            value: value?.toString('base64') ?? '',
            headers: headers.map(([header, text]) => [String(header), String(text)]),
          });
        }
        return seen.sort((a, b) => a.partition - b.partition);
      } finally {
        await client.close();
      }
    },
    /** Resolves with all records once there are so many. */
    async untilThere(count: number): Promise<SeenRecord[]> {
      return eventually(
        async () => {
          const seen = await this.records();
          if (seen.length < count) throw new Error(`${seen.length} records, not ${count}`);
          return seen;
        },
        { withinMs: 60_000, everyMs: 200 },
      );
    },
    async close() {
      await connectClient(parts.connectUrl)('DELETE', `/connectors/${name}`);
      await eventually(() => dropSlot(), { withinMs: 30_000, everyMs: 200 });
      await withAdmin(kafka, (it) => it.deleteTopics({ topics: [topic.name] }));
      await pool.end();
      await consumers.end();
      await admin.end();
      await database.drop();
    },
  };
}

export const idsOf = (records: readonly SeenRecord[]): string[] =>
  records.map(({ headers }) => headers.find(([name]) => name === 'id')?.[1] ?? '');

function aRow(topic: string, key: string): OutboxRow {
  return {
    id: randomUUIDv7(),
    topic,
    key,
    event_type: 'order_created',
    tenant_id: randomUUIDv7(),
    user_id: Math.random() < 0.5 ? '' : randomUUIDv7(),
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    payload: randomBytes(300),
  };
}
