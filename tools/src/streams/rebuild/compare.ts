/** What is compared: the outboxes' rows and what each topic holds. */
import type { Topic } from '@ragline/schemas/topics';
import { partitionOf } from '@ragline/streams/partition-of';
import type { TailClient } from '@ragline/streams/tail-client';
import { createIdSet } from '../id-set.ts';
import { type OutboxReader, openOutboxes, type Wanted } from '../outbox-rows.ts';
import { boundsOf, recordsOf, type TopicBounds } from '../topic-records.ts';
import { createJudge, type Judge, type Present } from './plan.ts';

type Compared = {
  /** Its `cdcUrl` is the connection string of ragline_cdc, by which the outboxes are read. */
  connector: { cdcUrl: string };
  topics: readonly Topic[];
  tables: readonly string[];
  since?: Date;
};

/** Rows that topics would still keep, or those since then; in a snapshot when one is named. */
export function openReader(options: Compared, snapshot: string | undefined): Promise<OutboxReader> {
  const { connector, topics, tables, since } = options;
  const wanted: Wanted = topics.map(({ name, retentionMs }) => ({
    topic: name,
    since: since ?? new Date(Date.now() - retentionMs),
  }));
  return openOutboxes({ databaseUrl: connector.cdcUrl, tables, wanted, snapshot });
}

/** The brokers' clock need not be Postgres's. */
const clocksApartMs = 10 * 60_000;

/** Reads every topic whole, or from `since` on; fills in where each began and ended when it was read. */
export async function readPresent(
  { topics, since }: Compared,
  client: TailClient,
  bounds: Map<string, TopicBounds>,
  onRecord: (topic: string, id: string, offset: number) => void = () => {},
): Promise<Present[]> {
  const present: Present[] = [];
  for (const { name, concurrent } of topics) {
    const from = since === undefined ? undefined : since.getTime() - clocksApartMs;
    const found = await boundsOf(client, name, from);
    bounds.set(name, found);
    const ids = createIdSet();
    const firstAt = new Map<number, number>();
    for await (const { partition, offset, id, timestamp } of recordsOf(client, name, found)) {
      if (!firstAt.has(partition)) firstAt.set(partition, timestamp);
      if (id === null) continue;
      ids.add(id);
      onRecord(name, id, offset);
    }
    const partitions = found.starts.map((start, partition) => ({
      hasRecords: firstAt.has(partition),
      firstAt: firstAt.get(partition),
      isCut: start > 0 && found.from[partition] === start,
    }));
    present.push({ topic: name, ids, isConcurrent: concurrent === true, partitions });
  }
  return present;
}

/** Every row judged, nothing done. */
export async function judged(reader: OutboxReader, present: readonly Present[]): Promise<Judge> {
  const judge = createJudge(present, partitionOf);
  for await (const rows of reader.heads()) for (const row of rows) judge.judge(row);
  return judge;
}
