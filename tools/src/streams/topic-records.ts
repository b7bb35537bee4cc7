/** What lies on a topic: every committed record up to the end that it has now, with its event's id. */
import type { FetchWants, TailClient } from '@ragline/streams/tail-client';

export type TopicRecord = {
  partition: number;
  offset: number;
  /** The event's id; null for a record that has none, which is nobody's event. */
  id: string | null;
  /** Slices of a whole answer, like the rest: copy what is kept. */
  key: Buffer | null;
  value: Buffer | null;
  headers: readonly (readonly [Buffer | null, Buffer | null])[];
  /** When it was written, ms since 1970, as the topic tells it. */
  timestamp: number;
};

export type TopicBounds = {
  /** Kafka's id of the topic: another one once it was made anew. */
  id: string;
  leaders: number[];
  /** First offset that is kept, by partition. */
  starts: number[];
  /** Where reading begins: `starts`, or the first record of `since`. */
  from: number[];
  /** Behind the last record that is committed or aborted, and behind the very last one. */
  stableEnds: number[];
  ends: number[];
};

/** @param since ms since 1970: begins with the records of then, as the broker's clock had it */
export async function boundsOf(client: TailClient, topic: string, since?: number): Promise<TopicBounds> {
  const { id, leaders } = await client.plan(topic);
  const starts = await client.startOffsets(topic);
  const stableEnds = await client.stableEndOffsets(topic);
  const ends = await client.endOffsets(topic);
  const found = since === undefined ? starts : await client.offsetsAt(topic, since);
  // Kafka says -1 where nothing is as young as that.
  const from = found.map((offset, partition) => (offset < 0 ? (stableEnds[partition] ?? 0) : offset));
  return { id, leaders, starts, from, stableEnds, ends };
}

const offsetOutOfRange = 1;
const patienceMs = 20_000;

/**
 * Reads from `bounds.from` to `bounds.stableEnds`; a partition's records come in order. Throws an Error when Kafka answers
 * with one, or gives nothing for 20 s.
 *
 * @param skipsExpired what retention takes meanwhile is passed over; else it is an error
 */
export async function* recordsOf(
  client: TailClient,
  topic: string,
  { id, leaders, from, stableEnds }: TopicBounds,
  { skipsExpired = false } = {},
): AsyncGenerator<TopicRecord> {
  const next = [...from];
  let movedAt = Date.now();
  for (;;) {
    const open = next.flatMap((offset, partition) =>
      offset < (stableEnds[partition] ?? 0) ? [partition] : [],
    );
    const node = leaders[open[0] ?? 0];
    if (open.length === 0 || node === undefined) return;
    const offsets = new Map(
      open.filter((it) => leaders[it] === node).map((it) => [it, next[it] ?? 0] as const),
    );
    const wants: FetchWants = [{ plan: { topic, id, epoch: 0, leaders }, offsets }];
    for (const fetched of await client.fetch(node, wants, 500)) {
      const { partition, error, records } = fetched;
      const position = next[partition] ?? 0;
      if (error === offsetOutOfRange && skipsExpired) {
        const start = (await client.startOffsets(topic))[partition] ?? 0;
        if (start <= position) throw new Error(`Kafka has lost the end of ${topic}/${partition}`);
        next[partition] = start;
        continue;
      }
      if (error !== 0) throw new Error(`Kafka answers ${topic}/${partition} with error ${error}`);
      const end = stableEnds[partition] ?? 0;
      for (const record of records) {
        const { offset } = record;
        if (offset < position || offset >= end) continue;
        yield { ...record, partition, id: idIn(record.headers) };
      }
      next[partition] = Math.max(position, fetched.next ?? position);
      // However long the reader took over them.
      if (next[partition] > position) movedAt = Date.now();
    }
    if (Date.now() - movedAt > patienceMs)
      throw new Error(`Kafka gives no records of ${topic} although there are some`);
  }
}

function idIn(headers: readonly (readonly [Buffer | null, Buffer | null])[]): string | null {
  const found = headers.find(([name]) => name?.toString() === 'id');
  return found?.[1]?.toString() ?? null;
}
