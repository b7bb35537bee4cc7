/** Writes records that must not be lost: idempotent, acknowledged by all replicas. */
import type { Logger } from '@ragline/runtime/logger';
import type { IHeaders, Kafka, Producer as KafkaProducer } from 'kafkajs';
import { UnavailableError } from './errors.ts';

export type OutgoingRecord = {
  key: Buffer | string | null;
  value: Buffer | null;
  headers?: IHeaders;
  /** By the key when none is named. */
  partition?: number;
};

export type Producer = {
  /** Resolves when all are stored; waits while Kafka is away. Throws UnavailableError when it cannot say whether they are: sent again, they may be there twice. */
  send(topic: string, records: readonly OutgoingRecord[]): Promise<void>;
  stop(): Promise<void>;
};

// After these the broker and the producer disagree about sequence numbers for good: only a new producer id helps.
const lostItsPlace = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
]);

/** Starts a producer; waits for a broker that is not there yet. */
export async function startProducer({ kafka, log }: { kafka: Kafka; log: Logger }): Promise<Producer> {
  let current = connected(kafka);
  await current;

  return {
    async send(topic, records) {
      const used = current;
      try {
        const producer = await used;
        await producer.send({ topic, acks: -1, messages: records.map((record) => ({ ...record })) });
      } catch (error) {
        const types = typesOf(error);
        if (types.some((type) => lostItsPlace.has(type))) {
          log.warn('producer begins anew', { reason: types.join(', ') });
          // Several sends may fail at once; the first of them replaces the producer.
          if (current === used) {
            current = connected(kafka);
            current.catch(() => {});
            void used.then((producer) => producer.disconnect()).catch(() => {});
          }
          throw new UnavailableError('The producer begins anew', { cause: error });
        }
        if (isRefusal(types)) throw error;
        throw new UnavailableError(`Kafka did not take a record for ${topic}`, { cause: error });
      }
    },
    async stop() {
      await (await current).disconnect();
    },
  };
}

async function connected(kafka: Kafka): Promise<KafkaProducer> {
  // One request in flight: more would let a retry overtake, and idempotence would refuse it.
  // It never gives up either: sent anew, a record gets a new sequence number, and may be there twice.
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: Number.MAX_SAFE_INTEGER },
  });
  await producer.connect();
  return producer;
}

/** What will be refused however often it is sent. */
function isRefusal(types: readonly string[]): boolean {
  return types.some((type) =>
    ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD'].includes(type),
  );
}

/** Kafka's error names, from the error and from what caused it. */
function typesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const own = 'type' in error && typeof error.type === 'string' ? [error.type] : [];
  return [...own, ...typesOf(error.cause)];
}
