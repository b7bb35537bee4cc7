/** Writes the missing rows, in their order, and knows at which offset each of them lies. */
import type { Kafka } from '@ragline/streams/kafka-client';
import { partitionOf } from '@ragline/streams/partition-of';
import kafkajs from 'kafkajs';
import type { FullRow, OutboxReader } from '../outbox-rows.ts';
import type { TopicBounds } from '../topic-records.ts';
import type { Judge } from './plan.ts';
import { lotsOf, recordOf } from './records.ts';

export type Written = {
  /** Records written, by topic and partition. */
  perPartition: Map<string, number[]>;
  /** Where the events that were asked for lie now, by topic and event id. */
  places: Map<string, Map<string, number>>;
  count: number;
};

const lotBytes = 1024 * 1024;

/**
 * One lot after the other, each acknowledged before the next: what a crash leaves is a beginning, in every partition.
 *
 * @param bounds of each topic before the first is written
 * @param asked event ids by topic whose places are wanted
 */
export async function produceMissing(options: {
  kafka: Kafka;
  reader: OutboxReader;
  judge: Judge['judge'];
  bounds: ReadonlyMap<string, TopicBounds>;
  asked: ReadonlyMap<string, ReadonlySet<string>>;
  onWritten?: (count: number) => void;
}): Promise<Written> {
  const { kafka, reader, judge, bounds, asked, onWritten = () => {} } = options;
  const written: Written = { perPartition: new Map(), places: new Map(), count: 0 };
  for (const [topic, { ends }] of bounds) {
    written.perPartition.set(
      topic,
      ends.map(() => 0),
    );
    written.places.set(topic, new Map());
  }
  // A retry that the broker had stored already is known to it by its number, and stored once.
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 60 },
  });
  await producer.connect();
  try {
    let sending: Promise<unknown> = Promise.resolve();
    for await (const rows of reader.rows()) {
      const missing = rows.filter((row) => judge(row) === 'missing');
      for (const lot of lotsOf(missing, lotBytes)) {
        // The next lot is read and judged while this one is on its way.
        await sending;
        onWritten(written.count);
        sending = send(lot);
        sending.catch(() => {});
        for (const row of lot) note(row);
      }
    }
    await sending;
  } finally {
    await producer.disconnect();
  }
  onWritten(written.count);
  return written;

  function send(lot: FullRow[]): Promise<unknown> {
    const byTopic = Map.groupBy(lot, ({ topic }) => topic);
    return producer.sendBatch({
      acks: -1,
      compression: kafkajs.CompressionTypes.GZIP,
      topicMessages: [...byTopic].map(([topic, rows]) => ({ topic, messages: rows.map(recordOf) })),
    });
  }

  function note({ id, topic, key }: FullRow): void {
    const perPartition = written.perPartition.get(topic);
    const ends = bounds.get(topic)?.ends;
    if (perPartition === undefined || ends === undefined)
      throw new Error(`No topic ${topic} is being written`);
    const partition = partitionOf(key, perPartition.length);
    const before = perPartition[partition] ?? 0;
    // Nobody else writes: checked against the topic's ends afterwards.
    if (asked.get(topic)?.has(id)) written.places.get(topic)?.set(id, (ends[partition] ?? 0) + before);
    perPartition[partition] = before + 1;
    written.count += 1;
  }
}
