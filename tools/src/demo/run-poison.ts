/** Sends the records of the demo, and looks on. */

import { randomUUIDv7 } from 'node:crypto';
import { createCodec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { usualDelaysMs } from '@ragline/streams/retry/names';
import { type Kafka, Partitioners } from 'kafkajs';
import { type Client, createClient } from '../dead-letters/client.ts';
import { kafkaFrom, withAdmin } from '../parts/kafka.ts';
import { print } from '../parts/output.ts';
import type { Settings } from '../parts/settings.ts';
import { follow, type Sent } from './follow.ts';
import { type PoisonCase, poisonCases } from './poison.ts';

export type PoisonOptions = { watchMs: number; outageS: number; json: boolean };

const topic = topics.orders.name;

/** Throws in production, and where nobody of the sample tenant can sign in. */
export async function demoPoison(settings: Settings, client: Client, options: PoisonOptions): Promise<void> {
  if (settings.find('RAGLINE_ENV') === 'production') {
    throw new Error('This is production: there are no failpoints, and nobody wants poison there');
  }
  const failpoints = settings.find('RAGLINE_FAILPOINTS') !== 'off';
  const customer = createClient(settings, {
    token: null,
    login: 'demo/customer@demo.example',
    url: client.url,
  });
  const user = userOf(await customer.get('/v1/auth/me'));
  const kafka = kafkaFrom(settings, 'ragline-demo');
  const all = poisonCases({
    ...user,
    encode: await createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') }).encoder('order_v1'),
    delaysMs: delaysFrom(settings.find('RETRY_DELAYS_MS')),
    outageS: options.outageS,
    newKey: await keysOfOwnPartitions(kafka),
  });
  const cases = all.filter(({ needsFailpoints }) => failpoints || !needsFailpoints);
  if (cases.length < all.length) {
    process.stderr.write('Failpoints are off (RAGLINE_FAILPOINTS): only what cannot be read is sent.\n');
  }
  const sent = await send(kafka, cases);
  if (!options.json) {
    print(sent, false, ({ name, record, promise }) => ({ case: name, record, 'what will happen': promise }));
    const count = sent.reduce((sum, { event_ids }) => sum + event_ids.length, 0);
    process.stdout.write(
      `\nThese ${count} records are in no outbox: "npx ragline streams reconcile" will name them phantoms, as it should.\n`,
    );
  }
  const results = await follow(client, sent, options);
  if (options.json) print(results, true);
}

function userOf(body: Record<string, unknown>): { tenant_id: string; user_id: string } {
  const me = typeof body.user === 'object' && body.user !== null ? body.user : body;
  const [tenant_id, user_id] = [
    Reflect.get(me, 'tenant_id'),
    Reflect.get(me, 'user_id') ?? Reflect.get(me, 'id'),
  ];
  if (typeof tenant_id === 'string' && typeof user_id === 'string') return { tenant_id, user_id };
  throw new Error('The sample customer has no id');
}

/** As the services read it: milliseconds, comma separated. */
export function delaysFrom(text: string | undefined): readonly number[] {
  const given = (text ?? '').split(',').filter((part) => /^\s*\d+\s*$/.test(part));
  return given.length === 0 ? usualDelaysMs : given.map(Number);
}

/** The outage stops a partition: keys that each have one to themselves keep the cases apart, as long as there are enough. */
async function keysOfOwnPartitions(kafka: Kafka): Promise<() => string> {
  const [found] = await withAdmin(
    kafka,
    async (admin) => (await admin.fetchTopicMetadata({ topics: [topic] })).topics,
  );
  const partitionMetadata = found?.partitions ?? [];
  const partitionOf = Partitioners.DefaultPartitioner();
  const taken = new Set<number>();
  return () => {
    for (;;) {
      const key = randomUUIDv7();
      const partition = partitionOf({ topic, partitionMetadata, message: { key, value: null } });
      if (taken.has(partition) && taken.size < partitionMetadata.length) continue;
      taken.add(partition);
      return key;
    }
  };
}

/** In order, each acknowledged: followers come behind the one that fails. */
async function send(kafka: Kafka, cases: readonly PoisonCase[]): Promise<Sent[]> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  try {
    const sent: Sent[] = [];
    for (const { name, promise, records } of cases) {
      const places: string[] = [];
      for (const { key, value, headers } of records) {
        const [place] = await producer.send({ topic, acks: -1, messages: [{ key, value, headers }] });
        places.push(`${topic}/${place?.partition}/${place?.baseOffset}`);
      }
      const [first] = records;
      if (first === undefined) continue;
      const event_ids = records.map(({ event_id }) => event_id);
      sent.push({ name, promise, key: first.key, record: places[0] ?? '', event_ids });
    }
    return sent;
  } finally {
    await producer.disconnect();
  }
}
