/** Fetch answers as the tail and the replayer use them: committed records only, and where to go on from. */
import type { Consumer } from '@platformatic/kafka';

/** One record as it lies in Kafka. Its Buffers are slices of the whole answer: copy what is kept. */
export type TailRecord = {
  offset: number;
  /** When it was written, ms since 1970. */
  timestamp: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: readonly (readonly [Buffer | null, Buffer | null])[];
};

export type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>;

export type FetchedPartition = {
  topic: string;
  partition: number;
  /** Kafka's error code; 0 for none. */
  error: number;
  /** In order of offset; may begin before the offset asked for, since batches come whole. */
  records: TailRecord[];
  /** The position after everything in this answer; undefined when it brought no batch. */
  next: number | undefined;
  logStart: number;
  /** Everything before it is decided: committed or aborted. */
  stableEnd: number;
};

type Partition = FetchResponse['responses'][number]['partitions'][number];

const isTransactional = 16;
const isControl = 32;
const abortMarker = 0;

export function fetchedPartitions(
  response: FetchResponse,
  topicOf: (topicId: string) => string | undefined,
): FetchedPartition[] {
  const fetched: FetchedPartition[] = [];
  for (const { topicId, partitions } of response.responses) {
    const topic = topicOf(topicId);
    if (topic === undefined) continue;
    for (const partition of partitions) {
      fetched.push({
        topic,
        partition: partition.partitionIndex,
        error: partition.errorCode,
        ...committedRecords(partition),
        logStart: Number(partition.logStartOffset),
        stableEnd: Number(partition.lastStableOffset),
      });
    }
  }
  return fetched;
}

/**
 * Leaves out the records of aborted transactions. The client has a filter of its own, but it lets an aborted
 * transaction through when its marker is not in the same answer, or when one producer aborted twice in it.
 */
function committedRecords(partition: Partition): { records: TailRecord[]; next: number | undefined } {
  const aborted = [...(partition.abortedTransactions ?? [])].sort((a, b) =>
    a.firstOffset < b.firstOffset ? -1 : 1,
  );
  const aborting = new Set<bigint>();
  const records: TailRecord[] = [];
  let next: number | undefined;
  for (const batch of partition.records ?? []) {
    const first = Number(batch.firstOffset);
    const last = first + batch.lastOffsetDelta;
    // Also of control batches: else the position never reaches the end under exactly-once Connect.
    next = last + 1;
    while (aborted[0] !== undefined && Number(aborted[0].firstOffset) <= last) {
      aborting.add(aborted[0].producerId);
      aborted.shift();
    }
    if (batch.attributes & isControl) {
      if (batch.records[0]?.key?.readInt16BE(2) === abortMarker) aborting.delete(batch.producerId);
      continue;
    }
    if (batch.attributes & isTransactional && aborting.has(batch.producerId)) continue;
    const firstTimestamp = Number(batch.firstTimestamp);
    for (const record of batch.records) {
      records.push({
        offset: first + record.offsetDelta,
        timestamp: firstTimestamp + Number(record.timestampDelta),
        key: record.key,
        value: record.value,
        headers: record.headers,
      });
    }
  }
  return { records, next };
}
