/**
 * bench stream: a backlog of outbox rows through Connect and Kafka to a handler that keeps an inbox row for each.
 *
 * Draining: Connect is paused while the rows are written; the clock runs from its resume to the last commit of
 * the handler. Inserting: the clock runs from the first insert, with Connect running.
 */
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import type { OutboxRow } from '@ragline/postgres/outbox';
import { appendOutbox } from '@ragline/postgres/outbox';
import { createPool, inTransaction, type Pool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { Topic } from '@ragline/schemas/topics';
import { startConsumer } from '@ragline/streams/consumer';
import type { Kafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import type { Command } from 'commander';
import { pauseConnector } from '../parts/apply-connector.ts';
import { kafkaFrom, withAdmin } from '../parts/kafka.ts';
import { line, median, round, tell } from '../parts/numbers.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import { makeBenchTopic } from './parts/bench-topic.ts';

type Options = { rows: string; rounds: string };

const log = createLogger({ service: 'bench', level: 'error' });

export function register(bench: Command): void {
  bench
    .command('stream')
    .description(
      'Outbox rows → Connect → Kafka → handleBatch with inbox rows: draining a backlog, and while inserting.',
    )
    .option('--rows <count>', 'rows a round', '50000')
    .option(
      '--rounds <count>',
      'rounds of each kind; the first of each only warms up when there are several',
      '3',
    )
    .action(async ({ rows, rounds }: Options) => {
      await measure(await readSettings(), Number(rows), Number(rounds));
    });
}

async function measure(settings: Settings, rowCount: number, rounds: number): Promise<void> {
  const metrics = createMetrics({ service: 'bench' });
  const options = { applicationName: 'bench-stream', statementTimeoutMs: 60_000, log, metrics };
  // As the owner, since the rows are of a tenant that nobody has signed in to.
  const pool = createPool({ url: settings.get('DATABASE_URL'), max: 12, ...options });
  const kafka = kafkaFrom(settings, 'bench-stream');
  const topic = await withAdmin(kafka, makeBenchTopic);
  const groupId = `bench-${randomUUID()}`;
  const connectUrl = settings.get('CONNECT_URL');
  const handled = await startHandler({ settings, kafka, pool, topic, groupId });
  const encode = await createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }).encoder('order_v1');
  const figures = { draining: [] as number[], inserting: [] as number[] };
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const kind of ['draining', 'inserting'] as const) {
        const rows = makeRows(rowCount, topic.name, encode);
        const { perSecond, insertMs, afterFirstPerSecond } = await runOnce(kind, rows, {
          pool,
          connectUrl,
          handled,
        });
        tell(`${kind} ${round}/${rounds}: ${Math.round(perSecond)}/s`);
        line({
          bench: 'stream',
          kind,
          round,
          rows: rowCount,
          per_s: Math.round(perSecond),
          per_s_after_first: Math.round(afterFirstPerSecond),
          insert_ms: Math.round(insertMs),
        });
        if (round > 1 || rounds === 1) figures[kind].push(perSecond);
      }
    }
    const [draining, inserting] = [median(figures.draining), median(figures.inserting)];
    line({
      bench: 'stream',
      kind: 'median',
      rows: rowCount,
      draining_per_s: Math.round(draining),
      inserting_per_s: Math.round(inserting),
      goal_draining_per_s: 8_000,
      of_goal: round(draining / 8_000, 2),
    });
  } finally {
    await pauseConnector({ connectUrl, paused: false });
    await handled.stop();
    await pool.query('DELETE FROM streams.inbox WHERE group_id = $1', [groupId]);
    await withAdmin(kafka, async (admin) => {
      await admin.deleteTopics({ topics: [topic.name] });
      await admin.deleteGroups([groupId]).catch(() => {});
    });
    await pool.end();
  }
}

type Handled = Awaited<ReturnType<typeof startHandler>>;

async function runOnce(
  kind: 'draining' | 'inserting',
  rows: readonly OutboxRow[],
  { pool, connectUrl, handled }: { pool: Pool; connectUrl: string; handled: Handled },
) {
  if (kind === 'draining') await pauseConnector({ connectUrl, paused: true });
  const done = handled.after(rows.length);
  const inserting = performance.now();
  // Rows of 500 in a transaction, as a busy service's would come together in the log.
  for (let at = 0; at < rows.length; at += 500) {
    await inTransaction(pool, (client) => appendOutbox(client, 'orders', rows.slice(at, at + 500)));
  }
  const insertMs = performance.now() - inserting;
  let began = inserting;
  if (kind === 'draining') {
    began = performance.now();
    // Not awaited: records flow before the resume is confirmed.
    void pauseConnector({ connectUrl, paused: false });
  }
  const { firstAt, lastAt } = await done;
  return {
    insertMs,
    perSecond: rows.length / ((lastAt - began) / 1000),
    afterFirstPerSecond: rows.length / ((lastAt - firstAt) / 1000),
  };
}

/** A consumer group whose handler does nothing but remember each event in its inbox, as every handler must. */
async function startHandler(parts: {
  settings: Settings;
  kafka: Kafka;
  pool: Pool;
  topic: Topic;
  groupId: string;
}) {
  const { settings, kafka, pool, topic, groupId } = parts;
  let count = 0;
  let firstAt = 0;
  let waiting: { count: number; resolve: (times: { firstAt: number; lastAt: number }) => void } | undefined;
  const producer = await startProducer({ kafka, log });
  const consumer = await startConsumer({
    kafka,
    groupId,
    topics: [topic],
    order: 'by-key',
    codec: createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }),
    producer,
    log,
    metrics: createMetrics({ service: 'bench' }),
    pool,
    handleBatch: async (_events, { once }) => {
      firstAt ||= performance.now();
      count += await once(async (_client, fresh) => fresh.size);
      if (waiting && count >= waiting.count) waiting.resolve({ firstAt, lastAt: performance.now() });
      return 'handled';
    },
  });
  return {
    /** Resolves when that many more have been committed; throws after five minutes. */
    async after(more: number) {
      count = 0;
      firstAt = 0;
      const { promise, resolve, reject } = Promise.withResolvers<{ firstAt: number; lastAt: number }>();
      const late = () => reject(new Error(`Only ${count} of ${more} rows arrived within five minutes`));
      const timer = setTimeout(late, 300_000);
      waiting = { count: more, resolve };
      return promise.finally(() => clearTimeout(timer));
    },
    async stop() {
      await consumer.stop();
      await producer.stop();
    },
  };
}

function makeRows(
  count: number,
  topic: string,
  encode: (value: ReturnType<typeof anOrderEvent>) => Buffer,
): OutboxRow[] {
  const tenantId = randomUUIDv7();
  // 500 orders at a time, so that keys repeat and their order matters.
  const orders = Array.from({ length: 500 }, () => randomUUIDv7());
  return Array.from({ length: count }, (_, i) => {
    const event = anOrderEvent({ tenant_id: tenantId });
    const key = orders[i % orders.length] ?? event.order.id;
    return {
      id: event.event_id,
      topic,
      key,
      event_type: event.event_type,
      tenant_id: tenantId,
      user_id: event.user_id,
      traceparent: `00-${randomUUID().replaceAll('-', '')}-b7ad6b7169203331-01`,
      payload: encode({ ...event, order: { ...event.order, id: key } }),
    };
  });
}
