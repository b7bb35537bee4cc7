/**
 * How late the tiers are in a group without order: records come at a steady rate, fail in each tier, and so a thousand
 * wait in each at any time.
 *
 * Late is from the record's `not-before` (its delay and the jitter) to the handler's call; earlier than that is a fault.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import type { Kafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import { retryTopicsOf } from '@ragline/streams/retry/names';
import { line, spread, tell } from '../../parts/numbers.ts';
import type { Settings } from '../../parts/settings.ts';
import {
  connect,
  counter,
  dropTopics,
  log,
  makeDatabase,
  makeTopics,
  newGroup,
  newKeys,
  poolTo,
  startFiller,
} from './kit.ts';

/** Short ones: a tier's lateness does not grow with its delay, and nobody waits hours for a figure. */
const delaysMs = [8_000, 9_000, 10_000];
const perSecond = 125;
const seconds = 24;
const records = perSecond * seconds;

export async function measureLateness(settings: Settings): Promise<void> {
  const kafka = connect(settings);
  const { groupId, deadLetters } = newGroup();
  const topic = `${groupId}-orders`;
  const names = [topic, deadLetters, ...retryTopicsOf(groupId, delaysMs)];
  await makeTopics(kafka, names);
  const database = await makeDatabase(settings);
  const pool = poolTo(database.urlOf('ragline_notifications'), 8);
  const producer = await startProducer({ kafka, log });
  const attempts = counter(records * (delaysMs.length + 1));
  const lateMs = new Map<number, number[]>(delaysMs.map((_, at) => [at + 2, []]));
  let early = 0;
  try {
    tell(`lateness: ${perSecond} records a second for ${seconds} s through ${delaysMs.length} tiers`);
    const consumer = await startConsumer({
      kafka,
      groupId,
      topics: [{ name: topic, schema: 'order_v1' }],
      order: 'none',
      codec: createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }),
      pool,
      producer,
      log,
      metrics: createMetrics({ service: 'bench' }),
      retry: { delaysMs },
      floodGuard: false,
      async handle(event, { attempt, once }) {
        if (attempt > 1) {
          const late = Date.now() - Date.parse(event.headers['not-before'] ?? '');
          lateMs.get(attempt)?.push(late);
          if (late < 0) early += 1;
        }
        attempts.add();
        if (attempt <= delaysMs.length) throw new Error('Not yet');
        await once(async () => true);
        return 'handled';
      },
    });
    try {
      await Promise.all([feed(settings, kafka, topic), attempts.done]);
    } finally {
      await consumer.stop();
    }
    for (const [at, delayMs] of delaysMs.entries()) {
      const values = lateMs.get(at + 2) ?? [];
      line({
        bench: 'dead-letters',
        part: 'lateness',
        tier_ms: delayMs,
        waiting: Math.round((perSecond * delayMs) / 1_000),
        records: values.length,
        unit: 'ms',
        ...spread(values),
      });
    }
    const all = [...lateMs.values()].flat();
    line({
      bench: 'dead-letters',
      part: 'lateness',
      kind: 'all',
      records: all.length,
      early,
      ...spread(all),
    });
    line({ bench: 'dead-letters', part: 'lateness', kind: 'goal', wanted: 'p99 < 1,000 ms, none early' });
  } finally {
    await producer.stop();
    await pool.end();
    await dropTopics(kafka, names, [groupId]);
    await database.drop();
  }
}

/** A tenth of a second's records ten times a second, whatever becomes of the earlier ones. */
async function feed(settings: Settings, kafka: Kafka, topic: string): Promise<void> {
  const filler = await startFiller(settings, kafka, topic);
  const began = performance.now();
  for (let tick = 0; tick < seconds * 10; tick += 1) {
    const wait = began + tick * 100 - performance.now();
    if (wait > 0) await pause(wait);
    const due = Math.round(((tick + 1) * perSecond) / 10) - Math.round((tick * perSecond) / 10);
    await filler.write(newKeys(due), due);
  }
  await filler.stop();
}
