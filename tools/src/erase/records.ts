/** Where Kafka has records about a person, found by reading every topic from its beginning. */
import type { ReplayReader } from '@ragline/streams/replay';
import type { TailClient } from '@ragline/streams/tail-client';
import type { TailRecord } from '@ragline/streams/tail-records';
import { type Judge, kindOf, type TopicKind } from './judge.ts';

/** What of one partition is about the person: records from `first` to `last`. */
export type Hit = {
  topic: string;
  kind: TopicKind;
  partition: number;
  first: number;
  last: number;
  /** When the last one was written, ms since 1970. */
  lastAt: number;
  records: number;
};

const patienceMs = 20_000;

/**
 * Reads the topics one after the other up to the ends that they have now. Flat in memory.
 *
 * @param isKnown which of these event ids are in an outbox: asked for records of the person on a topic that an outbox
 *   feeds. What is not is no event of ours, and may say anything.
 */
export async function findRecords(parts: {
  client: TailClient;
  reader: ReplayReader;
  topics: readonly string[];
  judge: Judge;
  isKnown: (ids: readonly string[]) => Promise<Set<string>>;
}): Promise<Hit[]> {
  const hits: Hit[] = [];
  for (const topic of parts.topics) {
    const kind = kindOf(topic);
    const found = new Map<number, Hit>();
    const note = (partition: number, { offset, timestamp }: TailRecord) => {
      const hit = found.get(partition) ?? {
        topic,
        kind,
        partition,
        first: offset,
        last: offset,
        lastAt: 0,
        records: 0,
      };
      hit.first = Math.min(hit.first, offset);
      hit.last = Math.max(hit.last, offset);
      hit.lastAt = Math.max(hit.lastAt, timestamp);
      hit.records += 1;
      found.set(partition, hit);
    };
    await readTopic(parts, topic, async (partition, records) => {
      const doubtful: { record: TailRecord; id: string }[] = [];
      for (const record of records) {
        const verdict = parts.judge(kind, record);
        if (verdict.is === 'about') note(partition, record);
        if (verdict.is === 'event') doubtful.push({ record, id: verdict.id });
      }
      if (doubtful.length === 0) return;
      const known = await parts.isKnown(doubtful.map(({ id }) => id));
      for (const { record, id } of doubtful) if (!known.has(id)) note(partition, record);
    });
    hits.push(...found.values());
  }
  return hits;
}

async function readTopic(
  { client, reader }: { client: TailClient; reader: ReplayReader },
  topic: string,
  take: (partition: number, records: readonly TailRecord[]) => Promise<void>,
): Promise<void> {
  const { epoch } = await client.plan(topic);
  const starts = await client.startOffsets(topic);
  const ends = await client.stableEndOffsets(topic);
  const open = new Map<number, number>();
  for (const [partition, end] of ends.entries()) {
    const start = starts[partition] ?? 0;
    if (start < end) open.set(partition, start);
  }
  let movedAt = Date.now();
  while (open.size > 0) {
    for (const { partition, records, next, error, logStart } of await reader.read(topic, epoch, open)) {
      const from = open.get(partition);
      if (from === undefined) continue;
      // What retention took meanwhile is gone, which is all that is wanted of it.
      const to = error === 0 ? next : logStart;
      if (to === undefined || to <= from) continue;
      // Batches come whole: the first may begin before the place asked for.
      await take(
        partition,
        records.filter(({ offset }) => offset >= from),
      );
      movedAt = Date.now();
      if (to >= (ends[partition] ?? 0)) open.delete(partition);
      else open.set(partition, to);
    }
    if (Date.now() - movedAt > patienceMs)
      throw new Error(`Kafka gives no records of ${topic} although there are some`);
  }
}

/** Waits until the topic has the event; false when it does not within the time. */
export async function hasArrived(
  parts: { client: TailClient; reader: ReplayReader },
  topic: string,
  eventId: string,
  withinMs: number,
): Promise<boolean> {
  const until = Date.now() + withinMs;
  for (;;) {
    let isThere = false;
    await readTopic(parts, topic, async (_, records) => {
      isThere ||= records.some(({ headers }) =>
        headers.some(([name, value]) => name?.toString() === 'id' && value?.toString() === eventId),
      );
    });
    if (isThere || Date.now() >= until) return isThere;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
