/**
 * How late the tiers are: a thousand records wait in each at a time, in a group without order.
 *
 * Late is from the record's `not-before` (its delay and the jitter) to the handler's call; earlier than that is a fault.
 */
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import { startProducer } from '@ragline/streams/producer';
import { retryTopicsOf } from '@ragline/streams/retry/names';
import type { Settings } from '../../parts/settings.ts';
import { line, spread, tell } from '../parts/numbers.ts';
import {
  connect,
  counter,
  dropTopics,
  fillTopic,
  log,
  makeDatabase,
  makeTopics,
  newGroup,
  poolTo,
} from './kit.ts';

const waiting = 1_000;
/** Short ones: a tier's lateness does not grow with its delay. */
const delaysMs = [4_000, 6_000, 8_000];

export async function measureLateness(settings: Settings): Promise<void> {
  const kafka = connect(settings);
  const { groupId, deadLetters } = newGroup();
  const topic = `${groupId}-orders`;
  const names = [topic, deadLetters, ...retryTopicsOf(groupId, delaysMs)];
  await makeTopics(kafka, names);
  const database = await makeDatabase(settings);
  const pool = poolTo(database.urlOf('ragline_notifications'), 8);
  const producer = await startProducer({ kafka, log });
  const attempts = counter(waiting * (delaysMs.length + 1));
  const lateMs = new Map<number, number[]>(delaysMs.map((_, at) => [at + 2, []]));
  let early = 0;
  try {
    tell(`lateness: ${waiting} records in each of ${delaysMs.length} tiers`);
    await fillTopic(settings, kafka, topic, waiting, waiting);
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
      await attempts.done;
    } finally {
      await consumer.stop();
    }
    for (const [at, delayMs] of delaysMs.entries()) {
      const values = lateMs.get(at + 2) ?? [];
      line({
        bench: 'dead-letters',
        part: 'lateness',
        tier_ms: delayMs,
        waiting,
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
