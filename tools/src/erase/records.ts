/** Where Kafka has records about a person, found by reading every topic from its beginning. */
import type { TailClient } from '@ragline/streams/tail-client';
import { boundsOf, recordsOf, type TopicRecord } from '../streams/topic-records.ts';
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

/** `own`: events of ours in which the tenant's own text names the person, such as a document. */
export type FoundRecords = { hits: Hit[]; own: Hit[] };

/** Asked of the outboxes at once. */
const doubtfulMax = 500;

/**
 * Reads the topics one after the other up to the ends that they have now. Flat in memory.
 *
 * @param isThere whether a topic that could not be read is there still; what was deleted meanwhile has no records
 * @param isKnown which of these event ids are in an outbox: asked for records of the person on a topic that an outbox
 *   feeds. What is not is no event of ours, and may say anything.
 */
export async function findRecords(parts: {
  client: TailClient;
  topics: readonly string[];
  judge: Judge;
  isThere: (topic: string) => Promise<boolean>;
  isKnown: (ids: readonly string[]) => Promise<Set<string>>;
}): Promise<FoundRecords> {
  const all: FoundRecords = { hits: [], own: [] };
  for (const topic of parts.topics) {
    const { hits, own } = await findIn(parts, topic).catch(async (error: unknown) => {
      if (await parts.isThere(topic)) throw error;
      return { hits: [], own: [] };
    });
    all.hits.push(...hits);
    all.own.push(...own);
  }
  return all;
}

async function findIn(
  { client, judge, isKnown }: Pick<Parameters<typeof findRecords>[0], 'client' | 'judge' | 'isKnown'>,
  topic: string,
): Promise<FoundRecords> {
  const kind = kindOf(topic);
  const [hits, own] = [new Map<number, Hit>(), new Map<number, Hit>()];
  let doubtful: (Place & { id: string; isNamed: boolean })[] = [];
  const decide = async () => {
    const known = doubtful.length === 0 ? new Set() : await isKnown(doubtful.map(({ id }) => id));
    for (const { id, isNamed, ...place } of doubtful) {
      if (!known.has(id)) note(hits, { topic, kind }, place);
      else if (isNamed) note(own, { topic, kind }, place);
    }
    doubtful = [];
  };
  const bounds = await boundsOf(client, topic);
  // What retention takes meanwhile is gone, which is all that is wanted of it.
  for await (const record of recordsOf(client, topic, bounds, { skipsExpired: true })) {
    const { partition, offset, timestamp } = record;
    const verdict = judge(kind, record);
    if (verdict.is === 'about') note(hits, { topic, kind }, record);
    if (verdict.is !== 'event') continue;
    // Not the record: it holds the answer that it came in.
    doubtful.push({ partition, offset, timestamp, id: verdict.id, isNamed: verdict.isNamed });
    if (doubtful.length >= doubtfulMax) await decide();
  }
  await decide();
  return { hits: [...hits.values()], own: [...own.values()] };
}

type Place = Pick<TopicRecord, 'partition' | 'offset' | 'timestamp'>;

function note(
  found: Map<number, Hit>,
  of: Pick<Hit, 'topic' | 'kind'>,
  { partition, offset, timestamp }: Place,
): void {
  const hit = found.get(partition) ?? {
    ...of,
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
}

/** Waits until the topic has the event; false when it does not within the time. */
export async function hasArrived(
  client: TailClient,
  topic: string,
  eventId: string,
  withinMs: number,
): Promise<boolean> {
  const until = Date.now() + withinMs;
  let from: number[] | undefined;
  for (;;) {
    const bounds = await boundsOf(client, topic);
    const rest = { ...bounds, from: from ?? bounds.from };
    for await (const { id } of recordsOf(client, topic, rest, { skipsExpired: true }))
      if (id === eventId) return true;
    if (Date.now() >= until) return false;
    from = bounds.stableEnds;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
