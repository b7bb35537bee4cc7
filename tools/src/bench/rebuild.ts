/**
 * bench rebuild: how fast `ragline streams rebuild` writes a lost topic again, beside a bare kafkajs producer.
 *
 *   outbox (Postgres) ─ read in order, judged ─ producer ─ Kafka
 *   the same records from memory ────────────── bare kafkajs producer ─ Kafka
 *
 * On a database, a slot, a connector and topics of its own, which it takes away again: the stack's own are not touched.
 * Both send the same bytes, compressed, in the same lots, each acknowledged by all before the next. Needs npm start.
 */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { appendOutbox, type OutboxRow } from '@ragline/postgres/outbox';
import { createPool, inTransaction } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { Kafka } from '@ragline/streams/kafka-client';
import type { Command } from 'commander';
import kafkajs from 'kafkajs';
import { accessFrom, kafkaFrom, withAdmin } from '../parts/kafka.ts';
import { line, median, round, tell } from '../parts/numbers.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import type { FullRow } from '../streams/outbox-rows.ts';
import { rebuild } from '../streams/rebuild/rebuild.ts';
import { lotsOf, recordOf } from '../streams/rebuild/records.ts';
import { makeBenchTopic } from './parts/bench-topic.ts';
import { openOutbox } from './parts/own-outbox.ts';

type Options = { events: string; rounds: string };

const log = createLogger({ service: 'bench', level: 'error' });
const lotBytes = 1024 * 1024;
const appendedAtOnce = 500;

export function register(bench: Command): void {
  bench
    .command('rebuild')
    .description(
      'A lost topic written again from the outbox, beside a bare kafkajs producer. Needs npm start.',
    )
    .option('--events <count>', 'events in the outbox', '100000')
    .option('--rounds <count>', 'rounds; figures are their medians', '3')
    .action(async ({ events, rounds }: Options) => {
      await measure(await readSettings(), Number(events), Number(rounds));
    });
}

async function measure(settings: Settings, count: number, rounds: number): Promise<void> {
  const kafka = kafkaFrom(settings, 'bench-rebuild');
  const outbox = await openOutbox(settings);
  const topics: string[] = [];
  const newTopic = async () => {
    const topic = await withAdmin(kafka, makeBenchTopic);
    topics.push(topic.name);
    return topic;
  };
  const ours: number[] = [];
  const peers: number[] = [];
  // A slot that is left behind would keep the log of the whole server.
  const close = async () => {
    await outbox.drop();
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics }));
  };
  const interrupted = () => void close().finally(() => process.exit(130));
  process.once('SIGINT', interrupted);
  try {
    const topic = await newTopic();
    tell(`writing ${count} events into an outbox`);
    const rows = await makeRows(settings, topic.name, count);
    await append(outbox.url, rows);
    for (let number = 1; number <= rounds; number += 1) {
      const began = performance.now();
      const {
        per_second,
        seconds,
        topics: reports,
      } = await rebuild({
        ...{ databaseUrl: outbox.url, kafka, access: accessFrom(settings) },
        ...{ connector: outbox.connector, slotName: outbox.name, tables: ['orders.outbox'] },
        ...{ topics: [topic], recreate: [topic.name] },
        onProgress: (text) => text.startsWith('written') || tell(text),
      });
      const whole = (performance.now() - began) / 1_000;
      const peer = await sendBare(kafka, (await newTopic()).name, rows);
      ours.push(per_second);
      peers.push(peer);
      line({
        ...{ bench: 'rebuild', round: number, events: reports[0]?.written, per_s: per_second },
        ...{ writing_s: round(seconds), whole_s: round(whole), peer_per_s: Math.round(peer) },
      });
    }
    const [our, peer] = [median(ours), median(peers)];
    line({
      ...{ bench: 'rebuild', round: 'median', events: count, per_s: Math.round(our) },
      ...{ peer_per_s: Math.round(peer), of_peer: round(our / peer, 2) },
    });
  } finally {
    process.off('SIGINT', interrupted);
    await close();
  }
}

/** Events a second. */
async function sendBare(kafka: Kafka, topic: string, rows: readonly FullRow[]): Promise<number> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  try {
    const began = performance.now();
    for (const lot of lotsOf(rows, lotBytes)) {
      const compression = kafkajs.CompressionTypes.GZIP;
      await producer.send({ topic, acks: -1, compression, messages: lot.map(recordOf) });
    }
    return rows.length / ((performance.now() - began) / 1_000);
  } finally {
    await producer.disconnect();
  }
}

async function append(databaseUrl: string, rows: readonly OutboxRow[]): Promise<void> {
  const metrics = createMetrics({ service: 'bench' });
  const options = { applicationName: 'bench-rebuild', statementTimeoutMs: 60_000, log, metrics };
  const pool = createPool({ url: databaseUrl, max: 2, ...options });
  try {
    for (let at = 0; at < rows.length; at += appendedAtOnce) {
      await inTransaction(pool, (client) =>
        appendOutbox(client, 'orders', rows.slice(at, at + appendedAtOnce)),
      );
    }
  } finally {
    await pool.end();
  }
}

/** Orders' events, some of each order. */
async function makeRows(settings: Settings, topic: string, count: number): Promise<FullRow[]> {
  const codec = createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') });
  const encode = await codec.encoder('order_v1');
  const tenantId = randomUUIDv7();
  const orders = Array.from({ length: Math.ceil(count / 4) }, () => randomUUIDv7());
  return Array.from({ length: count }, (_, at) => {
    const event = anOrderEvent({ tenant_id: tenantId });
    const key = orders[at % orders.length] ?? event.order.id;
    return {
      id: event.event_id,
      topic,
      key,
      created_at: new Date(),
      event_type: event.event_type,
      tenant_id: tenantId,
      user_id: event.user_id,
      traceparent: `00-${randomUUID().replaceAll('-', '')}-b7ad6b7169203331-01`,
      payload: encode({ ...event, order: { ...event.order, id: key } }),
    };
  });
}
