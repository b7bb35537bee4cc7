/** What lies on the topics, held against the ids that the outboxes have. */
import type { TailClient } from '@ragline/streams/tail-client';
import { createIdSet, type IdSet } from '../id-set.ts';
import type { OutboxReader } from '../outbox-rows.ts';
import type { Present } from '../rebuild/plan.ts';
import { recordsOf, type TopicBounds, type TopicRecord } from '../topic-records.ts';
import type { WithdrawnOrders } from './withdrawn.ts';

/** A record of which no outbox knows. */
export type Phantom = {
  topic: string;
  partition: number;
  offset: number;
  event_id: string | null;
  key: string | null;
  event_type: string | null;
  tenant_id: string | null;
  written_at: string;
};

export type TopicCounts = {
  topic: string;
  rows: number;
  records: number;
  holes: number;
  phantoms: number;
  /** Records whose id stands on the topic before them. */
  doubled: number;
  /** Rows that the connector has not come to yet. */
  on_the_way: number;
};

/** How many phantoms are kept of each topic, beside their number. */
export const listedMax = 10_000;
const askedAtOnce = 1_000;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `newest`: of the rows that are on the topic, the youngest's time (ms since 1970). */
export type Found = Present & { counts: TopicCounts; phantoms: Phantom[]; newest: number };
type Outboxes = { inOutbox: IdSet; reader: OutboxReader; withdrawn: WithdrawnOrders };

export async function readTopics(
  client: TailClient,
  bounds: ReadonlyMap<string, TopicBounds>,
  { inOutbox, ...outboxes }: Outboxes,
) {
  const found = new Map<string, Found>();
  for (const [topic, places] of bounds) {
    const it = emptyFound(topic, places);
    let strange: TopicRecord[] = [];
    for await (const record of recordsOf(client, topic, places)) {
      if (take(it, record, inOutbox)) continue;
      strange.push(record);
      if (strange.length < askedAtOnce) continue;
      await judgeStrange(it, strange, outboxes);
      strange = [];
    }
    await judgeStrange(it, strange, outboxes);
    found.set(topic, it);
  }
  return found;
}

/** Its row may be older than all that was read: the connector was away for long, or a rebuild has written it now. */
async function judgeStrange(
  it: Found,
  strange: readonly TopicRecord[],
  { reader, withdrawn }: Omit<Outboxes, 'inOutbox'>,
): Promise<void> {
  const ids = strange.flatMap(({ id }) => (id !== null && uuid.test(id) ? [id] : []));
  const known = ids.length === 0 ? new Set<string>() : await reader.known(ids);
  for (const record of strange) {
    if (record.id !== null && known.has(record.id)) continue;
    it.counts.phantoms += 1;
    withdrawn.add(it.topic, record);
    if (it.phantoms.length < listedMax) it.phantoms.push(phantomOf(it.topic, record));
  }
}

function emptyFound(topic: string, { starts, from }: TopicBounds): Found {
  const counts = { topic, rows: 0, records: 0, holes: 0, phantoms: 0, doubled: 0, on_the_way: 0 };
  const partitions = starts.map((start, partition) => ({
    hasRecords: false,
    isCut: start > 0 && from[partition] === start,
  }));
  return { topic, ids: createIdSet(), partitions, counts, phantoms: [], newest: 0 };
}

/** Counts a record; whether its row was read. */
function take({ counts, ids, partitions }: Found, record: TopicRecord, inOutbox: IdSet): boolean {
  const partition = partitions[record.partition];
  if (partition !== undefined) partition.hasRecords = true;
  counts.records += 1;
  if (record.id === null) return false;
  if (ids.has(record.id)) counts.doubled += 1;
  ids.add(record.id);
  return inOutbox.has(record.id);
}

function phantomOf(topic: string, { partition, offset, id, key, headers, timestamp }: TopicRecord): Phantom {
  const header = (name: string) => headers.find(([it]) => String(it) === name)?.[1]?.toString() ?? null;
  return {
    ...{ topic, partition, offset, event_id: id, key: key?.toString() ?? null },
    ...{ event_type: header('event_type'), tenant_id: header('tenant_id') },
    written_at: new Date(timestamp).toISOString(),
  };
}
