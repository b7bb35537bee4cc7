/**
 * A producer for topics that come and go: replay topics are the groups' own.
 *
 * A plain one never gives up a record for a topic that is gone, and one such topic among those that it has ever written to
 * keeps it from reading where the others are. So topics are looked up first, and the producer is replaced when one of its own
 * has gone.
 */
import type { Logger } from '@ragline/runtime/logger';
import { type OutgoingRecord, type Producer, startProducer } from '@ragline/streams/producer';
import type { Admin, Kafka } from 'kafkajs';

/** The topic does not exist. */
export class NoTopic extends Error {
  override readonly name = 'NoTopic';
}

/** Tells what is missing, and how to make it. */
export function missingTopic(topic: string): string {
  const group = topic.endsWith('.replay') ? topic.slice(0, -'.replay'.length) : undefined;
  const how =
    group === undefined
      ? 'make it, or name another in FOREIGN_REPLAY_TOPICS'
      : `make it: npx ragline topics group ${group} --order none --partitions <as many as the topic that it reads>`;
  return `Topic ${topic} does not exist; ${how}`;
}

export type ReplayProducer = {
  /** Looked up at most every two seconds. Throws when Kafka does not say in time. */
  exists(topic: string): Promise<boolean>;
  /** Throws NoTopic, and any other error when Kafka was not heard of in time: it may have the records all the same. */
  send(topic: string, records: readonly OutgoingRecord[]): Promise<void>;
  /** Takes some seconds at most, whatever is under way. */
  stop(): Promise<void>;
};

export type ReplayProducerOptions = {
  kafka: { admin(): Pick<Admin, 'connect' | 'disconnect' | 'listTopics'> };
  log: Logger;
  /** A send or a look that takes longer is given up. */
  withinMs?: number;
  start: () => Promise<Producer>;
};

const lookedUpForMs = 2_000;
const stopWithinMs = 3_000;

export function startReplayProducer({ kafka, log }: { kafka: Kafka; log: Logger }): ReplayProducer {
  return replayProducer({ kafka, log, start: () => startProducer({ kafka, log }) });
}

/** Connects when it is first asked: a service starts without a Kafka that answers. */
export function replayProducer({
  kafka,
  log,
  withinMs = 10_000,
  start,
}: ReplayProducerOptions): ReplayProducer {
  const admin = kafka.admin();
  let connecting: Promise<void> | undefined;
  let known: { at: number; topics: Promise<ReadonlySet<string>> } | undefined;
  let current: Promise<Producer> | undefined;
  let written = new Set<string>();

  async function look(): Promise<ReadonlySet<string>> {
    connecting ??= admin.connect();
    try {
      await connecting;
    } catch (error) {
      connecting = undefined;
      throw error;
    }
    return new Set(await admin.listTopics());
  }

  function topicsNow(): Promise<ReadonlySet<string>> {
    if (known === undefined || performance.now() - known.at > lookedUpForMs) {
      const looked = { at: performance.now(), topics: within(look(), withinMs) };
      looked.topics.catch(() => {
        if (known === looked) known = undefined;
      });
      known = looked;
    }
    return known.topics;
  }

  function renew(reason: string): void {
    log.info('the producer of replays begins anew', { reason });
    const old = current;
    current = undefined;
    known = undefined;
    written = new Set();
    // Not waited for: it may be in the middle of a record that it cannot get rid of.
    void old?.then((producer) => producer.stop()).catch(() => {});
  }

  return {
    exists: async (topic) => (await topicsNow()).has(topic),
    async send(topic, records) {
      const topics = await topicsNow();
      if (!topics.has(topic)) throw new NoTopic(`Topic ${topic} does not exist`);
      const gone = [...written].find((it) => !topics.has(it));
      if (gone !== undefined) renew(`${gone} is gone`);
      written.add(topic);
      current ??= start();
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
    async stop() {
      const stopping = Promise.all([
        connecting?.then(() => admin.disconnect()),
        current?.then((producer) => producer.stop()),
      ]);
      await within(stopping, stopWithinMs).catch((error: unknown) =>
        log.warn('the producer of replays is left to itself', { error }),
      );
    },
  };
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Kafka did not answer within ${ms} ms`)), ms);
  });
  // Nobody hears of it any more once it is late.
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
