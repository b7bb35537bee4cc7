/** What Kafka knows of a group's offsets: asked until it answers. */
import type { Logger } from '@ragline/runtime/logger';
import type { Kafka } from 'kafkajs';

export type GroupOffsets = {
  /** Committed offsets by partition, undefined where there is none; an empty map after stop(). */
  committed(topic: string): Promise<Map<number, bigint | undefined>>;
  /** High watermarks by partition; undefined when Kafka does not answer. */
  ends(topic: string): Promise<Map<number, bigint> | undefined>;
  stop(): Promise<void>;
};

const againMs = 500;

export async function startGroupOffsets(options: {
  kafka: Kafka;
  groupId: string;
  log: Logger;
}): Promise<GroupOffsets> {
  const { kafka, groupId, log } = options;
  const admin = kafka.admin();
  let isStopped = false;
  await admin.connect();

  return {
    async committed(topic) {
      while (!isStopped) {
        try {
          const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
          return new Map(
            (found?.partitions ?? []).map((it) => [it.partition, committedOf(it.offset)] as const),
          );
        } catch (error) {
          log.warn('committed offsets are not to be had', { group: groupId, topic, error });
          await new Promise((resolve) => setTimeout(resolve, againMs));
        }
      }
      return new Map();
    },
    async ends(topic) {
      try {
        const offsets = await admin.fetchTopicOffsets(topic);
        return new Map(offsets.map(({ partition, high }) => [partition, BigInt(high)] as const));
      } catch (error) {
        log.debug('ends are not to be had', { topic, error });
        return undefined;
      }
    },
    async stop() {
      isStopped = true;
      await admin.disconnect();
    },
  };
}

/** Kafka says -1 for none; kafkajs commits -2 where it means the beginning. */
function committedOf(offset: string): bigint | undefined {
  return offset.startsWith('-') ? undefined : BigInt(offset);
}
