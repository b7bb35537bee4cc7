/**
 * The same topic through the same handler: once by plain kafkajs, and by our consumer with none, 1 % and 10 % of the
 * keys failing for good.
 *
 * The handler's effect is an inbox row and a row of its own in one transaction, for all. Plain kafkajs works on all
 * partitions side by side, in each one after another; it retries nothing, so it has no failing keys.
 */
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { startConsumer } from '@ragline/streams/consumer';
import { claim } from '@ragline/streams/inbox';
import type { Kafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import type pg from 'pg';
import { line, median, round, tell } from '../../parts/numbers.ts';
import type { Settings } from '../../parts/settings.ts';
import {
  type BenchDatabase,
  connect,
  counter,
  dropTopics,
  type Filled,
  fillTopic,
  log,
  makeDatabase,
  makeTopics,
  newGroup,
  partitions,
  poolTo,
  someOf,
} from './kit.ts';

export const connections = 16;
const keysMax = 1_000;

export type Load = {
  settings: Settings;
  kafka: Kafka;
  topic: string;
  filled: Filled;
  database: BenchDatabase;
};
export type Took = {
  records: number;
  seconds: number;
  /** Records of keys that do not fail, and the time to the last of them. */
  healthy: number;
  healthySeconds: number;
};

const variants: Record<string, (load: Load) => Promise<Took>> = {
  kafkajs: runPlain,
  'ragline 0 %': (load) => runOurs(load, 0),
  'ragline 1 %': (load) => runOurs(load, 0.01),
  'ragline 10 %': (load) => runOurs(load, 0.1),
};

export async function measureThroughput(
  settings: Settings,
  { records, rounds }: { records: number; rounds: number },
): Promise<void> {
  const kafka = connect(settings);
  const topic = `${newGroup().groupId}-orders`;
  await makeTopics(kafka, [topic]);
  const database = await makeDatabase(settings);
  const rates = new Map<string, number[]>(Object.keys(variants).map((name) => [name, []]));
  const healthyRates = new Map<string, number[]>(Object.keys(variants).map((name) => [name, []]));
  try {
    await makeEffectTable(database.owner);
    const filled = await fillTopic(settings, kafka, topic, records, Math.min(keysMax, records));
    const names = Object.keys(variants);
    for (let turn = 1; turn <= rounds; turn += 1) {
      // Each round begins with another one, so that nobody always follows the same neighbour.
      for (const index of names.keys()) {
        const name = names[(index + turn) % names.length] ?? '';
        const took = await variants[name]?.({ settings, kafka, topic, filled, database });
        if (took === undefined) continue;
        const perSecond = Math.round(took.records / took.seconds);
        const healthyPerSecond = Math.round(took.healthy / took.healthySeconds);
        tell(`throughput ${turn}/${rounds} ${name}: ${perSecond}/s`);
        const isWarmUp = turn === 1 && rounds > 1;
        line({
          bench: 'dead-letters',
          part: 'throughput',
          variant: name,
          round: turn,
          warm_up: isWarmUp,
          records: took.records,
          per_s: perSecond,
          healthy_per_s: healthyPerSecond,
        });
        if (isWarmUp) continue;
        rates.get(name)?.push(perSecond);
        healthyRates.get(name)?.push(healthyPerSecond);
      }
    }
    report(rates, healthyRates);
  } finally {
    await dropTopics(kafka, [topic], []);
    await database.drop();
  }
}

function report(rates: Map<string, number[]>, healthyRates: Map<string, number[]>): void {
  const of = (name: string) => median(rates.get(name) ?? []);
  const healthy = (name: string) => median(healthyRates.get(name) ?? []);
  for (const name of rates.keys()) {
    line({
      bench: 'dead-letters',
      part: 'throughput',
      kind: 'median',
      variant: name,
      per_s: Math.round(of(name)),
      healthy_per_s: Math.round(healthy(name)),
      of_kafkajs: round(of(name) / of('kafkajs'), 2),
      // What records of healthy keys lose by those that are parked beside them.
      healthy_of_none_failing: round(healthy(name) / healthy('ragline 0 %'), 2),
    });
  }
}

export async function makeEffectTable(owner: pg.Pool): Promise<void> {
  await owner.query(
    'CREATE TABLE IF NOT EXISTS public.bench_effect (id uuid PRIMARY KEY, key text NOT NULL)',
  );
  await owner.query('GRANT INSERT ON public.bench_effect TO ragline_notifications');
}

const effectSql = (id: string, key: string) => ({
  name: 'bench_effect',
  text: 'INSERT INTO public.bench_effect (id, key) VALUES ($1, $2)',
  values: [id, key],
});

async function emptied({ owner }: BenchDatabase, groupId: string): Promise<void> {
  await owner.query('TRUNCATE public.bench_effect');
  await owner.query(
    'DELETE FROM streams.parked_record WHERE parked_id IN (SELECT id FROM streams.parked_key WHERE group_id = $1)',
    [groupId],
  );
  for (const table of ['parked_key', 'lease', 'inbox']) {
    await owner.query(`DELETE FROM streams.${table} WHERE group_id = $1`, [groupId]);
  }
  await owner.query('CHECKPOINT');
}

async function runPlain({ settings, kafka, topic, filled, database }: Load): Promise<Took> {
  const { groupId } = newGroup();
  const pool = poolTo(database.urlOf('ragline_notifications'), connections);
  const codec = createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') });
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 250 });
  const handled = counter(filled.records);
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      partitionsConsumedConcurrently: partitions,
      eachMessage: async ({ message }) => {
        const id = String(message.headers?.id);
        if (message.value) await codec.decode(message.value);
        const client = await pool.connect();
        try {
          await client.query('BEGIN');
          const fresh = await claim(client, groupId, [id]);
          if (fresh.has(id)) await client.query(effectSql(id, String(message.key)));
          await client.query('COMMIT');
        } finally {
          client.release();
        }
        handled.add();
      },
    });
    const { seconds } = await handled.done;
    return { records: filled.records, seconds, healthy: filled.records, healthySeconds: seconds };
  } finally {
    await consumer.disconnect();
    await pool.end();
    await emptied(database, groupId);
    await dropTopics(kafka, [], [groupId]).catch(() => {});
  }
}

/** @param share of the keys whose records always fail; those are parked, and not due before this is over */
export async function runOurs(
  { settings, kafka, topic, filled, database }: Load,
  share: number,
  usePool: (pool: pg.Pool) => void = () => {},
): Promise<Took> {
  const { groupId, deadLetters } = newGroup();
  await makeTopics(kafka, [deadLetters]);
  const failing = someOf(filled.keys, share);
  const pool = poolTo(database.urlOf('ragline_notifications'), connections);
  usePool(pool);
  const producer = await startProducer({ kafka, log });
  const finished = counter(filled.records);
  const healthy = counter(Math.round(filled.records * (1 - share)));
  const consumer = await startConsumer({
    kafka,
    groupId,
    topics: [{ name: topic, schema: 'order_v1' }],
    order: 'by-key',
    codec: createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }),
    pool,
    producer,
    log,
    metrics: createMetrics({ service: 'bench' }),
    concurrency: connections - 2,
    retry: { delaysMs: [600_000] },
    floodGuard: false,
    async handle(event, { once }) {
      const key = event.key ?? '';
      if (failing.has(key)) throw new Error('This key fails');
      await once((client) => client.query(effectSql(event.event_id, key)));
      return 'handled';
    },
    onFinished: ({ outcome }) => {
      finished.add();
      if (outcome === 'handled') healthy.add();
    },
  });
  try {
    const [all, good] = await Promise.all([finished.done, healthy.done]);
    return {
      records: filled.records,
      seconds: all.seconds,
      healthy: healthy.seen(),
      healthySeconds: good.seconds,
    };
  } finally {
    await consumer.stop();
    await producer.stop();
    await pool.end();
    await emptied(database, groupId);
    await dropTopics(kafka, [deadLetters], [groupId]);
  }
}
