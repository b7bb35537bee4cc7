/**
 * A producer for topics that come and go: replay topics are the groups' own.
 *
 * A plain one never gives up a record for a topic that is gone, and one such topic among those that it has ever written to
 * keeps it from reading where the others are. So topics are looked up first, and the producer is replaced when one of its own
 * has gone.
 */
import type { Logger } from '@ragline/runtime/logger';
import { type OutgoingRecord, type Producer, startProducer } from '@ragline/streams/producer';
import type { Kafka } from 'kafkajs';

/** The topic does not exist. */
export class NoTopic extends Error {
  override readonly name = 'NoTopic';
}

export type ReplayProducerOptions = {
  kafka: Kafka;
  log: Logger;
  /** A send that takes longer is given up; Kafka may have the records all the same. */
  withinMs?: number;
};

/** @returns like a Producer; `send` throws NoTopic, and also when Kafka was not heard of in time */
export async function startReplayProducer({
  kafka,
  log,
  withinMs = 10_000,
}: ReplayProducerOptions): Promise<Producer> {
  const admin = kafka.admin();
  await admin.connect();
  let current: Promise<Producer> | undefined;
  let written = new Set<string>();

  function renew(reason: string): void {
    log.info('the producer of replays begins anew', { reason });
    const old = current;
    current = undefined;
    written = new Set();
    // Not waited for: it may be in the middle of a record that it cannot get rid of.
    void old?.then((producer) => producer.stop()).catch(() => {});
  }

  return {
    async send(topic: string, records: readonly OutgoingRecord[]): Promise<void> {
      const topics = new Set(await admin.listTopics());
      if (!topics.has(topic)) throw new NoTopic(`Topic ${topic} does not exist`);
      const gone = [...written].find((it) => !topics.has(it));
      if (gone !== undefined) renew(`${gone} is gone`);
      written.add(topic);
      current ??= startProducer({ kafka, log });
      const used = current;
      try {
        await within(
          used.then((producer) => producer.send(topic, records)),
          withinMs,
        );
      } catch (error) {
        if (current === used) renew(String(error));
        throw error;
      }
    },
    async stop(): Promise<void> {
      await admin.disconnect();
      await (await current?.catch(() => undefined))?.stop();
    },
  };
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Kafka took no record within ${ms} ms`)), ms);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
