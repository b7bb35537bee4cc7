/**
 * The part of @platformatic/kafka that the tail, the replayer and the position use: metadata with topic ids,
 * offsets, and one fetch. No group, no commits. kafkajs has neither topic ids nor a fetch of one's own.
 */
import './tail-guard.ts';
import { Consumer } from '@platformatic/kafka';
import { epochOf } from './epoch.ts';
import { type FetchedPartition, type FetchResponse, fetchedPartitions } from './tail-records.ts';

export type KafkaAccess = {
  brokers: string[];
  username?: string | undefined;
  password?: string | undefined;
  /** plain (the default), scram-sha-256 or scram-sha-512. */
  saslMechanism?: string | undefined;
};

export type TopicPlan = { topic: string; id: string; epoch: number; leaders: number[] };

/** For each topic, the partitions to read with the offset to read from. */
export type FetchWants = { plan: TopicPlan; offsets: ReadonlyMap<number, number> }[];

export type TailClient = ReturnType<typeof createTailClient>;

const fetchBytesMax = 8 * 1024 * 1024;
const partitionBytesMax = 1024 * 1024;
const readCommitted = 1;
const readUncommitted = 0;
const latest = -1n;
const earliest = -2n;

/**
 * Fetch sessions belong to a client and a broker, and partitions linger in them: the tail and the replayer take
 * one client each. Errors are the library's own; the callers repeat for ever, so it is told not to.
 */
export function createTailClient({ kafka, clientId }: { kafka: KafkaAccess; clientId: string }) {
  const consumer = new Consumer({
    clientId,
    // Required by the constructor; never joined.
    groupId: `${clientId}-no-group`,
    bootstrapBrokers: kafka.brokers,
    retries: 0,
    ...loginOf(kafka),
  });

  const offsets = async (topic: string, timestamp: bigint, isolationLevel: number): Promise<number[]> => {
    const found = await consumer.listOffsets({ topics: [topic], timestamp, isolationLevel });
    return (found.get(topic) ?? []).map(Number);
  };

  return {
    /** Identity and leaders of a topic as they are now. */
    async plan(topic: string): Promise<TopicPlan> {
      const metadata = await consumer.metadata({ topics: [topic], forceUpdate: true });
      const found = metadata.topics.get(topic);
      if (found === undefined) throw new Error(`Kafka does not know the topic ${topic}`);
      const epoch = epochOf({
        clusterId: metadata.id,
        topicId: found.id,
        partitions: found.partitionsCount,
      });
      return { topic, id: found.id, epoch, leaders: found.partitions.map((it) => it.leader) };
    },

    startOffsets: (topic: string) => offsets(topic, earliest, readUncommitted),
    /** The end for a reader of committed records. */
    stableEndOffsets: (topic: string) => offsets(topic, latest, readCommitted),
    endOffsets: (topic: string) => offsets(topic, latest, readUncommitted),
    /** The first record that is not older, ms since 1970; -1 where there is none. */
    offsetsAt: (topic: string, ms: number) => offsets(topic, BigInt(ms), readUncommitted),

    /** One fetch from one broker; a partition's own error is in its answer. Waits up to maxWaitMs for news. */
    async fetch(node: number, wants: FetchWants, maxWaitMs: number): Promise<FetchedPartition[]> {
      const names = new Map(wants.map(({ plan }) => [plan.id, plan.topic]));
      const response = await consumer
        .fetch({
          node,
          minBytes: 1,
          maxWaitTime: maxWaitMs,
          maxBytes: fetchBytesMax,
          isolationLevel: readCommitted,
          topics: wants.map(({ plan, offsets }) => ({
            topicId: plan.id,
            partitions: [...offsets].map(([partition, offset]) => ({
              partition,
              fetchOffset: BigInt(offset),
              partitionMaxBytes: partitionBytesMax,
              currentLeaderEpoch: -1,
              lastFetchedEpoch: -1,
            })),
          })),
        })
        .catch(partialAnswer);
      return fetchedPartitions(response, (id) => names.get(id));
    },

    close: (): Promise<void> => consumer.close(true),
  };
}

const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

/** How to log in, as the library wants it told. Throws TypeError for a mechanism that is none of the three. */
export function loginOf({ username, password, saslMechanism = 'plain' }: Omit<KafkaAccess, 'brokers'>) {
  if (username === undefined || password === undefined) return {};
  const mechanism = mechanisms.find((it) => it === saslMechanism.toUpperCase());
  if (mechanism === undefined) {
    throw new TypeError(
      `KAFKA_SASL_MECHANISM is plain, scram-sha-256 or scram-sha-512, not ${saslMechanism}`,
    );
  }
  return { sasl: { mechanism, username, password } };
}

/** The library throws a whole answer away for one partition's error; the others' records are still in it. */
function partialAnswer(error: unknown): FetchResponse {
  if (error instanceof Error && 'response' in error && isFetchResponse(error.response)) {
    if (error.response.errorCode === 0) return error.response;
  }
  throw error;
}

function isFetchResponse(response: unknown): response is FetchResponse {
  return (
    typeof response === 'object' && response !== null && 'responses' in response && 'errorCode' in response
  );
}
