/**
 * One membership in a consumer group: a kafkajs consumer from its start until it is stopped or lost.
 *
 * It neither commits by itself nor moves on by itself: kafkajs is told what was taken, and what may be committed.
 */
import type { EachBatchPayload, Kafka, Offsets } from 'kafkajs';
import type { ConsumedRecord } from './record.ts';

/** What one fetch brought of one partition. */
export type FetchedBatch = {
  topic: string;
  partition: number;
  records: ConsumedRecord[];
  /** Where it was fetched, and the first offset behind it. */
  from: bigint;
  next: bigint;
  highWatermark: bigint;
};

export type MemberOptions = {
  kafka: Kafka;
  groupId: string;
  topics: readonly string[];
  /** A new assignment; called before any batch of it, and synchronously, so that nothing stale is committed. */
  onJoin(assignment: Record<string, number[]>): void;
  /** The group is about to join anew: the last moment at which a commit of this assignment is taken. */
  onRebalancing(): void;
  /**
   * Once `taken` is called, the next fetch goes on behind the batch, or behind the offset that it is given; else
   * the same is fetched again.
   */
  onBatch(batch: FetchedBatch, taken: (last?: string) => void): Promise<void>;
  /** The broker's own entries (markers of transactions) or aborted records only: there is nothing to handle. */
  onFiltered(topic: string, partition: number, from: bigint, next: bigint): void;
  /** The group has just said that the present assignment holds. */
  onConfirmed(): void;
  /** The membership is over and will not come back; never called before startMember has resolved. */
  onLost(error: Error): void;
  /** Anything that shows that it fetches. */
  onSign(): void;
};

export type Member = {
  pause(topic: string, partition: number): void;
  resume(topic: string, partition: number): void;
  seek(topic: string, partition: number, offset: bigint): void;
  /** Commits once, under the present assignment; throws when Kafka refuses. */
  commit(offsets: Offsets): Promise<void>;
  stop(): Promise<void>;
};

// A dead instance's partitions are taken over so much later; Postgres ends its idle transactions before.
const sessionTimeoutMs = 8_000;
const heartbeatMs = 2_000;
const rebalanceTimeoutMs = 15_000;
// With one byte as the least it adds no latency; it bounds how late a resumed partition is asked for.
const fetchWaitMs = 250;
const stopWithinMs = 5_000;

/** Joins the group; resolves after the first join, throws when it fails. */
export async function startMember(options: MemberOptions): Promise<Member> {
  const { kafka, groupId, topics, onJoin, onRebalancing, onFiltered, onConfirmed, onLost, onSign } = options;
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: sessionTimeoutMs,
    heartbeatInterval: heartbeatMs,
    rebalanceTimeout: rebalanceTimeoutMs,
    maxWaitTimeInMs: fetchWaitMs,
    minBytes: 1,
    maxBytes: 8 * 1024 * 1024,
    allowAutoTopicCreation: false,
    // kafkajs would restart what it calls retriable, in the background and also after a stop; we do it ourselves.
    retry: {
      initialRetryTime: 100,
      maxRetryTime: 1_000,
      retries: 120,
      restartOnFailure: async () => false,
    },
  });
  let isOver = false;
  let crash: Error | undefined;
  let hasStarted = false;
  let commitNow: EachBatchPayload['commitOffsetsIfNecessary'] | undefined;

  const { GROUP_JOIN, REBALANCING, CRASH, FETCH, HEARTBEAT, START_BATCH_PROCESS } = consumer.events;
  const whileMember = (then: () => void) => () => {
    if (!isOver) then();
  };
  consumer.on(GROUP_JOIN, ({ payload }) => whileMember(() => onJoin(payload.memberAssignment))());
  consumer.on(REBALANCING, whileMember(onRebalancing));
  consumer.on(FETCH, whileMember(onSign));
  consumer.on(HEARTBEAT, whileMember(onSign));
  consumer.on(HEARTBEAT, whileMember(onConfirmed));
  consumer.on(CRASH, ({ payload: { error } }) => {
    if (isOver) return;
    if (hasStarted) onLost(error);
    else crash = error;
  });
  consumer.on(
    START_BATCH_PROCESS,
    ({ payload: { topic, partition, batchSize, firstOffset, lastOffset } }) => {
      if (isOver || batchSize > 0 || firstOffset === null) return;
      onFiltered(topic, partition, BigInt(firstOffset), BigInt(lastOffset) + 1n);
    },
  );

  const stop = async () => {
    isOver = true;
    await withinMs(stopWithinMs, consumer.disconnect());
  };
  await consumer.connect();
  await consumer.subscribe({ topics: [...topics], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    // All of a fetch at once: a batch that waits for its turn is one that can become stale.
    partitionsConsumedConcurrently: 1_000,
    async eachBatch(payload) {
      if (isOver) return;
      commitNow = payload.commitOffsetsIfNecessary;
      const { batch, resolveOffset } = payload;
      const end = batch.messages.at(-1)?.offset ?? '';
      await options.onBatch(fetchedBatch(batch), (last = end) => resolveOffset(last));
    },
  });
  if (crash !== undefined) {
    await stop();
    throw crash;
  }
  hasStarted = true;

  return {
    pause: (topic, partition) => whileMember(() => consumer.pause([{ topic, partitions: [partition] }]))(),
    resume: (topic, partition) => whileMember(() => consumer.resume([{ topic, partitions: [partition] }]))(),
    seek: (topic, partition, offset) => consumer.seek({ topic, partition, offset: String(offset) }),
    async commit(offsets) {
      // consumer.commitOffsets would try again by itself, perhaps after a rebalance, under the wrong assignment.
      if (!isOver && commitNow !== undefined) await commitNow(offsets);
    },
    stop,
  };
}

function fetchedBatch(batch: EachBatchPayload['batch']): FetchedBatch {
  const { topic, partition, messages, highWatermark } = batch;
  // In the object, though not in its type. The first offset may lie behind it, where the log has a hole.
  const from =
    'fetchedOffset' in batch && typeof batch.fetchedOffset === 'string'
      ? batch.fetchedOffset
      : (batch.firstOffset() ?? '0');
  return {
    topic,
    partition,
    from: BigInt(from),
    next: BigInt(batch.lastOffset()) + 1n,
    highWatermark: BigInt(highWatermark),
    records: messages.map(({ offset, key, value, headers, timestamp }) => ({
      topic,
      partition,
      offset,
      key,
      value,
      headers: headers ?? {},
      timestamp: Number(timestamp),
    })),
  };
}

/** Waits for the promise, but not longer; its failure is nobody's business any more. */
async function withinMs(ms: number, promise: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise.catch(() => {}), late]);
  clearTimeout(timer);
}
