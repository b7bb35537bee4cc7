/** Which rows of an outbox are to be written to their topic, and which may not be: pure. */
import type { IdSet } from '../id-set.ts';
import type { RowHead } from '../outbox-rows.ts';

/** What a topic holds before anything is written. */
export type Present = {
  topic: string;
  ids: IdSet;
  /** See Topic: a row that is missing before another of its key may have been committed after that, and is not late, if they are of one time. */
  isConcurrent?: boolean;
  /**
   * By partition: whether there is any record, whether some that were before it are gone, and when the first was
   * appended (ms since 1970; without it, any row may have gone before it).
   */
  partitions: { hasRecords: boolean; isCut: boolean; firstAt?: number | undefined }[];
};

export type Verdict =
  /** It is on the topic. */
  | 'there'
  /** It is not, and is to be written. */
  | 'missing'
  /** It is not, and is older than all that its partition still holds: it went with the beginning. */
  | 'expired';

/** A row that is missing, of a key of which a later one is there: written now, it would come after that. */
export type Late = { topic: string; key: string; event_id: string };

export type Counts = Record<Verdict, number> & { late: number };

export type Judge = {
  judge(row: RowHead): Verdict;
  /** By topic; complete once every row was judged. */
  counts: ReadonlyMap<string, Counts>;
  /** The first of those that are late. */
  late: readonly Late[];
};

const lateShownMax = 20;

/** Transactions of a service that were open at once began at most so far apart: Postgres ends what stands idle for 5 s. */
const openAtMostMs = 60_000;

/**
 * Judges rows in the order in which they were written; for each walk over them a judge of its own.
 *
 * @param partitionOf the partition of a key, as producers choose it
 */
export function createJudge(
  present: readonly Present[],
  partitionOf: (key: string, partitions: number) => number,
): Judge {
  const topics = new Map(
    present.map((it) => [
      it.topic,
      {
        ...it,
        mayLag: it.isConcurrent === true ? openAtMostMs : Number.NEGATIVE_INFINITY,
        seen: new Set<number>(),
        missing: new Map<string, { id: string; at: number }>(),
      },
    ]),
  );
  const counts = new Map<string, Counts>(
    present.map(({ topic }) => [topic, { there: 0, missing: 0, expired: 0, late: 0 }]),
  );
  const late: Late[] = [];

  function judge(row: RowHead): Verdict {
    const { id, topic: name, key } = row;
    const topic = topics.get(name);
    const count = counts.get(name);
    if (topic === undefined || count === undefined) throw new Error(`No topic ${name} is being looked at`);
    const verdict = verdictOf(topic, row);
    count[verdict] += 1;
    if (topic.ids.size() === 0) return verdict;
    const at = row.created_at.getTime();
    if (verdict === 'missing' && !topic.missing.has(key)) topic.missing.set(key, { id, at });
    const overtaken = verdict === 'there' ? topic.missing.get(key) : undefined;
    if (overtaken !== undefined && at - overtaken.at >= topic.mayLag) {
      topic.missing.delete(key);
      count.late += 1;
      if (late.length < lateShownMax) late.push({ topic: name, key, event_id: overtaken.id });
    }
    return verdict;
  }

  function verdictOf(topic: Present & { seen: Set<number> }, { id, key, created_at }: RowHead): Verdict {
    const number = partitionOf(key, topic.partitions.length);
    if (topic.ids.has(id)) {
      topic.seen.add(number);
      return 'there';
    }
    const partition = topic.partitions[number];
    // What was written after the first that is left was appended after it too, and cannot have gone before it.
    const isOlder = created_at.getTime() < (partition?.firstAt ?? Number.POSITIVE_INFINITY);
    const isBeforeAll = isOlder && !topic.seen.has(number);
    return partition?.hasRecords && partition.isCut && isBeforeAll ? 'expired' : 'missing';
  }

  return { judge, counts, late };
}
