import { type AssignmentOptions, createAssignment } from './assignment.ts';
import { consumerMetrics } from './consumer-metrics.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import { groupParking } from './group-parking.ts';
import { type FetchedBatch, type Member, startMember } from './member.ts';
import { startGroupOffsets } from './offsets.ts';
import { orAfter } from './or-after.ts';
import { createOutcomes, type Finished } from './outcomes.ts';
import { createPartitionRun, type PartitionRun } from './partition.ts';
import type { DecodedEvent } from './record.ts';
import type { Addressed } from './retry/guards.ts';
import { createWaits, dueOf } from './retry/waiting.ts';
import { createRunParts } from './run-parts.ts';
import { createSlots } from './slots.ts';
import type { Work } from './task.ts';
import { createWatchdog } from './watchdog.ts';
import { eventWork, rawWork } from './work.ts';

export type { ConsumerOptions, Finished };

export type Running = { stop(): Promise<void> };

// Long enough for a handler to be done before a rebalance is noticed.
const usualHoldMs = 1_000;
const commitEveryMs = 250;
// A partition that is resumed is fetched at the end of the fetch that is on its way, so it is resumed before it is due.
const aheadMs = 1_000;
const lookEveryMs = 5_000;
const stallMs = 45_000;
const readyWithinMs = 15_000;
const abortedWithinMs = 1_000;

/**
 * Starts a member of the group; resolves after its first join. Reads a new group's topics from their beginning.
 *
 * stop() begins nothing more, waits for the handlers that have begun, commits, and leaves the group.
 */
export async function startConsumer(options: ConsumerOptions): Promise<Running> {
  if ('handleRaw' in options) {
    return run(options, rawWork(options.groupId, options.handleRaw), () => undefined);
  }
  const schemas = new Map(options.topics.map(({ name, schema }) => [name, schema ?? undefined]));
  const needsKey = options.order === 'by-key';
  const work = eventWork(options.groupId, options, (topic) => ({ expected: schemas.get(topic), needsKey }));
  return run(options, work, (event) => event);
}

async function run<E extends Addressed>(
  options: ConsumerOptions,
  work: Work<E>,
  eventOf: (event: E) => DecodedEvent | undefined,
): Promise<Running> {
  const { kafka, groupId, order, producer, metrics, log, concurrency = 16, batchMax = 500 } = options;
  const { holdFetchMs = usualHoldMs } = options;
  const shown = consumerMetrics(metrics, groupId);
  const slots = createSlots(concurrency);
  const finished = createOutcomes({ shown, eventOf, onFinished: options.onFinished });
  const offsets = await startGroupOffsets({ kafka, groupId, log });
  const onLate = (ms: number) => shown.late('line', ms / 1_000);
  const parkingOf = groupParking<E>({ groupId, options, slots, producer, onFinished: finished, onLate, log });
  const group = { groupId, order, producer, offsets, shown, log };
  const parts = createRunParts<E>({ ...group, options, work, parkingOf });
  const topics = [...options.topics.map(({ name }) => name), ...parts.returning];
  // Partitions whose run takes no more at present.
  const unwanted = new Set<string>();
  // Partitions whose lease another owner has raised.
  let fenced: { topic: string; partition: number }[] = [];
  const waits = createWaits((topic, partition) => {
    if (!unwanted.has(`${topic}/${partition}`)) member?.resume(topic, partition);
  });
  const ends = new Map<string, bigint>();
  let member: Member | undefined;
  let rebuilding: Promise<void> | undefined;
  let committing: Promise<void> | undefined;
  let hasJoined = false;
  let isStopping = false;

  const makeRun: AssignmentOptions['makeRun'] = (topic, partition) => {
    const name = `${topic}/${partition}`;
    unwanted.delete(name);
    waits.forget(topic, partition);
    // kafkajs remembers across joins what was paused.
    member?.resume(topic, partition);
    shown.paused(topic, partition, false);
    const onFetching = (wanted: boolean, reason: string | undefined) => {
      if (wanted) unwanted.delete(name);
      else unwanted.add(name);
      if (!wanted) member?.pause(topic, partition);
      else if (!waits.isWaiting(topic, partition)) member?.resume(topic, partition);
      shown.paused(topic, partition, !wanted);
      if (!wanted) log.info('partition is paused', { group: groupId, topic, partition, reason });
    };
    const onFenced = () => {
      run.end();
      run.abort();
      if (!assignment.runs().includes(run)) return;
      // Each of its transactions says so.
      if (fenced.some((it) => it.topic === topic && it.partition === partition)) return;
      assignment.fenced(topic, partition);
      fenced.push({ topic, partition });
    };
    const run: PartitionRun = createPartitionRun<E>({
      ...parts.partsOf({ topic, partition }, onFenced),
      topic,
      partition,
      order,
      slots,
      batchMax,
      onFinished: finished,
      onFetching,
      log,
      random: Math.random,
    });
    return run;
  };
  const assignment = createAssignment({ makeRun, committedOffsets: offsets.committed, onGone: shown.forget });

  /** Of a partition that we own after all, what was not committed is handled anew. */
  async function readAgain(topic: string, partition: number): Promise<void> {
    const committed = (await offsets.committed(topic)).get(partition);
    if (!isStopping) member?.seek(topic, partition, committed ?? 0n);
  }

  async function onBatch(fetched: FetchedBatch, taken: (last?: string) => void): Promise<void> {
    if (isStopping) return;
    const { topic, partition, from, highWatermark } = fetched;
    ends.set(`${topic}/${partition}`, highWatermark);
    const isTier = parts.isTier(topic);
    const { batch, waitMs } = isTier ? dueOf(fetched, Date.now() + aheadMs) : { batch: fetched };
    if (waitMs !== undefined) {
      // What is not due is fetched again shortly before it is.
      waits.wait(topic, partition, waitMs);
      member?.pause(topic, partition);
    }
    if (batch === undefined) return;
    const { records } = batch;
    const result = await assignment.take(batch, () => taken(records.at(-1)?.offset));
    if (result.kind === 'rewind') {
      const hole = { from: String(result.at), to: String(from) };
      log.warn('a hole before a batch is read again', { group: groupId, topic, partition, ...hole });
      member?.seek(topic, partition, result.at);
    }
    if (result.kind !== 'taken') return;
    // Behind records that take long, or are not quite due, the next fetch does not wait.
    if (!isTier && result.run.open() === records.length) await orAfter(holdFetchMs, result.run.idle());
    showLag();
  }

  function showLag(): void {
    for (const { topic, partition, committable } of assignment.runs()) {
      const end = ends.get(`${topic}/${partition}`);
      const at = committable();
      if (end !== undefined && at !== undefined) shown.lag(topic, partition, Math.max(0, Number(end - at)));
    }
  }

  /** One commit at a time; what Kafka refuses is committed the next time, or is another member's by then. */
  function commit(): Promise<void> {
    committing ??= commitOnce()
      .catch((error: unknown) => log.debug('offsets were not committed', { group: groupId, error }))
      .finally(() => {
        committing = undefined;
      });
    return committing;
  }

  async function commitOnce(): Promise<void> {
    const uncommitted = assignment.uncommitted();
    if (member === undefined || uncommitted.topics.length === 0) return;
    await member.commit(uncommitted);
    assignment.committed(uncommitted);
  }

  const watchdog = createWatchdog({
    stallMs,
    now: Date.now,
    onStall: (silentMs) => lost('stalled', new Error(`No fetch for ${silentMs} ms`)),
  });

  function lost(reason: string, error: Error): void {
    if (isStopping || rebuilding !== undefined) return;
    log.warn('consumer is built anew', { group: groupId, reason, error });
    shown.restarted(reason);
    hasJoined = false;
    const old = member;
    member = undefined;
    assignment.join({});
    rebuilding = (async () => {
      await old?.stop();
      await build();
    })().finally(() => {
      rebuilding = undefined;
    });
  }

  /** Tries until there is a member, or nobody wants one. */
  async function build(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    const until = performance.now() + withinMs;
    for (let waitMs = 200; !isStopping; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        member = await startMember({ kafka, groupId, topics, ...memberEvents });
        return;
      } catch (error) {
        log.warn('group was not joined', { group: groupId, error });
        if (performance.now() > until) throw error;
        await orAfter(waitMs, new Promise(() => {}));
      }
    }
  }

  const holdBack = (isHeld: boolean) => {
    for (const it of assignment.runs()) it.holdBack(isHeld);
  };
  const memberEvents = {
    onBatch,
    onJoin(partitionsOf: Record<string, number[]>) {
      hasJoined = true;
      watchdog.sign();
      shown.joined();
      log.info('partitions assigned', { group: groupId, partitions: partitionsOf });
      fenced = [];
      assignment.join(isStopping ? {} : partitionsOf);
    },
    onRebalancing() {
      holdBack(true);
      void (committing ?? Promise.resolve()).then(commit);
    },
    onFiltered(topic: string, partition: number, from: bigint, next: bigint) {
      void assignment.skip(topic, partition, from, next).catch(() => {});
    },
    onConfirmed() {
      const places = fenced;
      fenced = [];
      assignment.confirmed();
      for (const { topic, partition } of places) void readAgain(topic, partition);
    },
    onLost: (error: Error) => lost('crashed', error),
    onSign() {
      watchdog.sign();
      // kafkajs meant to join anew and could not: it fetches on under the same assignment.
      holdBack(false);
    },
  };

  const commitTimer = setInterval(() => void commit(), commitEveryMs);
  const lookTimer = setInterval(async () => {
    watchdog.check();
    for (const topic of topics) {
      for (const [partition, end] of (await offsets.ends(topic)) ?? [])
        ends.set(`${topic}/${partition}`, end);
    }
    showLag();
  }, lookEveryMs);
  options.health?.check(`group ${groupId}`, () => {
    if (!hasJoined) throw new Error('has not joined');
    if (watchdog.silentMs() > readyWithinMs) throw new Error(`no fetch for ${watchdog.silentMs()} ms`);
  });
  options.health?.detail(`group ${groupId}`, () =>
    parts.isFlooded() ? 'waits: most of what it tried has failed' : undefined,
  );
  async function stop(): Promise<void> {
    isStopping = true;
    clearInterval(commitTimer);
    clearInterval(lookTimer);
    waits.stop();
    const runs = assignment.runs();
    for (const it of runs) it.end();
    const settled = Promise.all(runs.map((it) => it.settled().catch(() => {})));
    await orAfter(options.stopWithinMs ?? 8_000, settled);
    for (const it of runs) it.abort();
    await orAfter(abortedWithinMs, settled);
    await committing;
    await commit();
    await rebuilding;
    await member?.stop();
    await offsets.stop();
  }

  try {
    await build(options.joinWithinMs);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}
