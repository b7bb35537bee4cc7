/** For tests: collects what arrives on topics from now on, as a foreign reader with plain kafkajs would see it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createLogger } from '@ragline/runtime/logger';
import { createKafka } from '@ragline/streams/kafka-client';
import type { Stack } from '../tests/support/stack.ts';

export type TappedRecord = {
  topic: string;
  partition: number;
  offset: string;
  key: string | null;
  value: Buffer | null;
  headers: Record<string, string>;
};

export type RecordTap = { records: TappedRecord[]; stop(): Promise<void> };

/** Resolves once every partition is being read, so that nothing written afterwards is missed. */
export async function startRecordTap(options: {
  kafka: Stack['kafka'];
  topics: string[];
  /** Also what belongs to a transaction that is open, or was given up. */
  readUncommitted?: boolean;
}): Promise<RecordTap> {
  const { kafka: login, topics, readUncommitted = false } = options;
  const log = createLogger({ service: 'test', level: 'error' });
  const kafka = createKafka({ ...login, clientId: 'test-tap', log });
  const groupId = `test-${randomUUID()}`;
  const admin = kafka.admin();
  await admin.connect();
  const records: TappedRecord[] = [];
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, readUncommitted });
  try {
    // The places to begin at are set, not found: what is written while the group forms is read as well.
    for (const topic of topics) {
      const ends = await admin.fetchTopicOffsets(topic);
      const partitions = ends.map(({ partition, offset }) => ({ partition, offset }));
      await admin.setOffsets({ groupId, topic, partitions });
    }
    await consumer.connect();
    await consumer.subscribe({ topics });
    const joined = new Promise<void>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, () => resolve());
    });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]);
        records.push({
          topic,
          partition,
          offset: message.offset,
          key: message.key?.toString() ?? null,
          value: message.value,
          headers: Object.fromEntries(headers),
        });
      },
    });
    await joined;
  } catch (error) {
    await consumer.disconnect();
    await admin.disconnect();
    throw error;
  }
  return {
    records,
    async stop() {
      await consumer.disconnect();
      // A broker needs a moment to see the group as empty; one that stays behind is its business.
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const [outcome] = await admin.deleteGroups([groupId]).catch(() => []);
        if (outcome?.errorCode === 0) break;
        await pause(100);
      }
      await admin.disconnect();
    },
  };
}
