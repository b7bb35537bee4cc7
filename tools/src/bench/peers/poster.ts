/** What one writes in an afternoon: plain kafkajs, and a fetch for each record. It stores, signs and retries nothing. */
import { randomUUID } from 'node:crypto';
import { createCodec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { kafkaFrom, withAdmin } from '../../parts/kafka.ts';
import type { Settings } from '../../parts/settings.ts';
import type { Moments } from '../parts/orders-at-rate.ts';

/**
 * Posts every event of orders.v1 from now on, none waiting for the one before.
 *
 * @returns `appended`: when each record came into Kafka, by event id
 */
export async function startPoster(settings: Settings, url: string) {
  const kafka = kafkaFrom(settings, 'bench-poster');
  const codec = createCodec({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') });
  const groupId = `bench-${randomUUID()}`;
  const topic = topics.orders.name;
  await withAdmin(kafka, async (admin) => {
    const ends = await admin.fetchTopicOffsets(topic);
    const partitions = ends.map(({ partition, offset }) => ({ partition, offset }));
    await admin.setOffsets({ groupId, topic, partitions });
  });
  const appended: Moments = new Map();
  const posting = new Set<Promise<void>>();
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic });
  const joined = new Promise<void>(
    (resolve) => void consumer.on(consumer.events.GROUP_JOIN, () => resolve()),
  );
  await consumer.run({
    eachMessage: async ({ message }) => {
      appended.set(String(message.headers?.id), Number(message.timestamp));
      if (message.value === null || String(message.headers?.event_type) !== 'order_created') return;
      const { value } = await codec.decode(message.value);
      const sent = post(url, value).finally(() => posting.delete(sent));
      posting.add(sent);
    },
  });
  await joined;
  return {
    appended,
    async stop() {
      await consumer.disconnect();
      await Promise.all(posting);
      await withAdmin(kafka, (admin) => admin.deleteGroups([groupId]).catch(() => []));
    },
  };
}

async function post(url: string, data: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  // What does not arrive is told as missing.
  await fetch(url, { method: 'POST', headers, body: JSON.stringify({ data }) }).then(
    (answer) => answer.arrayBuffer(),
    () => {},
  );
}
