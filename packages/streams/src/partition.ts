/**
 * The records of one partition, for as long as one assignment lasts: who may run, who waits, what may be committed.
 *
 * Knows no Kafka: records are added, and the offset up to which all are handled is asked for.
 */
import type { Logger } from '@ragline/runtime/logger';
import { afterFailure } from './after-failure.ts';
import { type Failure, failureOf } from './errors.ts';
import { createLanes } from './lanes.ts';
import { createLowWater, type LowWater } from './low-water.ts';
import type { ConsumedRecord } from './record.ts';
import type { Slots } from './slots.ts';
import { keyOf, newTask, sizeOf, type Task, type Work } from './task.ts';

export type PartitionOptions<E> = {
  topic: string;
  partition: number;
  order: 'by-key' | 'none';
  work: Work<E>;
  slots: Slots;
  /** Puts a doomed task into the group's dead letter topic. */
  bury(task: Task<E>): Promise<void>;
  /** Told once for each task that is finished. */
  onFinished(task: Task<E>, outcome: string): void;
  /** Whether more records are wanted; called when it changes. */
  onFetching(wanted: boolean, reason: 'unavailable' | 'full' | undefined): void;
  log: Logger;
  /** 0 ≤ random() < 1. */
  random: () => number;
  batchMax: number;
};

export type PartitionRun = ReturnType<typeof createPartitionRun>;

const openMax = 4_000;
const openBytesMax = 16 * 1024 * 1024;

export function createPartitionRun<E>(options: PartitionOptions<E>) {
  const { topic, partition, order, work, slots, bury, onFinished, onFetching, log, random, batchMax } =
    options;
  const aborter = new AbortController();
  const lanes = createLanes<Task<E>>(order);
  const timers = new Set<NodeJS.Timeout>();
  const idleWaiters = new Set<() => void>();
  const settledWaiters = new Set<() => void>();
  // Taken from their lanes and due, but held back while the partition was paused.
  const held: Task<E>[] = [];
  let batchQueue: Task<E>[] = [];
  let batchRuns = false;
  let lowWater: LowWater | undefined;
  let state: 'preparing' | 'running' | 'paused' | 'ended' = 'preparing';
  let isHeldBack = false;
  let fetching = true;
  let open = 0;
  let openBytes = 0;
  let running = 0;
  let pauses = 0;

  function pump(): void {
    while (state === 'running' && !isHeldBack && hasJob() && slots.take(pump)) {
      running += 1;
      // No job throws: what a handler throws is dealt with inside.
      void startJob().finally(() => {
        running -= 1;
        slots.release();
        if (running === 0) wake(settledWaiters);
        pump();
      });
    }
  }

  function hasJob(): boolean {
    return held.length > 0 || lanes.ready() || (batchQueue.length > 0 && !batchRuns);
  }

  function startJob(): Promise<void> {
    const task = held.shift() ?? lanes.take();
    return task === undefined ? runBatch() : runOne(task);
  }

  async function runOne(task: Task<E>): Promise<void> {
    if (task.doom !== undefined) return buryOne(task);
    try {
      const event = task.event ?? work.admit(task.record);
      task.event = event instanceof Promise ? await event : event;
      finish(task, await work.one(task.event, { signal: aborter.signal, attempt: task.attempt }));
    } catch (error) {
      await failed(task, error);
    }
  }

  async function failed(task: Task<E>, error: unknown): Promise<void> {
    // Aborted with its assignment: whoever has the partition now gets the record again.
    if (aborter.signal.aborted) return;
    const step = afterFailure(failureOf(error), task.attempt, pauses, random);
    const now = Date.now();
    switch (step.kind) {
      case 'pause':
        held.push(task);
        return pause(step.delayMs, error);
      case 'dead-letter':
        task.firstFailedAt ??= now;
        task.doom = { errorCode: step.errorCode, error, failedAt: now };
        return buryOne(task);
      case 'retry':
        task.firstFailedAt ??= now;
        log.info('record is tried again', { ...addressOf(task), attempt: task.attempt, error });
        task.attempt += 1;
        task.notBefore = now + step.delayMs;
        after(step.delayMs, () => {
          held.push(task);
          pump();
        });
    }
  }

  async function buryOne(task: Task<E>): Promise<void> {
    try {
      await bury(task);
    } catch (error) {
      log.error('dead letter was not stored', { ...addressOf(task), error });
      held.push(task);
      pause(pauseMs({ kind: 'unavailable' }), error);
      return;
    }
    finish(task, 'dead-lettered');
  }

  /** One transaction for many; when it fails, its records go one by one, each in its key's lane. */
  async function runBatch(): Promise<void> {
    if (work.many === undefined) return;
    batchRuns = true;
    const tasks = nextBatch();
    try {
      const { good, events, aside } = await admitted(tasks);
      if (events.length > 0) {
        const outcomes = await work.many(events, { signal: aborter.signal, attempt: 1 });
        good.forEach((task, at) => {
          finish(task, outcomes[at] ?? 'handled');
        });
      }
      // Only now: in its lane a record could run beside one of its key that is before it, in the batch.
      for (const task of aside) toLane(task);
    } catch (error) {
      if (aborter.signal.aborted) return;
      const failure = failureOf(error);
      if (failure.kind === 'unavailable') {
        batchQueue = [...tasks, ...batchQueue];
        pause(pauseMs(failure), error);
        return;
      }
      log.info('batch is handled one by one', { topic, partition, records: tasks.length, error });
      for (const task of tasks) toLane(task);
    } finally {
      batchRuns = false;
    }
  }

  /** What a batch's records mean. Aside: those that mean nothing, and what is behind one of them in its key. */
  async function admitted(tasks: readonly Task<E>[]) {
    const good: Task<E>[] = [];
    const events: E[] = [];
    const aside: Task<E>[] = [];
    const keysAside = new Set<string>();
    for (const task of tasks) {
      const key = order === 'by-key' ? keyOf(task) : null;
      if (key !== null && keysAside.has(key)) {
        aside.push(task);
        continue;
      }
      try {
        const event = task.event ?? work.admit(task.record);
        task.event = event instanceof Promise ? await event : event;
        good.push(task);
        events.push(task.event);
      } catch (error) {
        if (failureOf(error).kind === 'unavailable') throw error;
        aside.push(task);
        if (key !== null) keysAside.add(key);
      }
    }
    return { good, events, aside };
  }

  function nextBatch(): Task<E>[] {
    const batch: Task<E>[] = [];
    let taken = 0;
    while (batch.length < batchMax) {
      const task = batchQueue[taken];
      if (task === undefined) break;
      taken += 1;
      // Behind a record of its key that is still being tried.
      if (order === 'by-key' && lanes.has(keyOf(task))) toLane(task);
      else batch.push(task);
    }
    batchQueue = batchQueue.slice(taken);
    return batch;
  }

  function toLane(task: Task<E>): void {
    task.inLane = true;
    lanes.add(keyOf(task), task);
  }

  function finish(task: Task<E>, outcome: string): void {
    if (task.inLane) lanes.release(task);
    lowWater?.finish(BigInt(task.record.offset));
    open -= 1;
    openBytes -= sizeOf(task.record);
    if (outcome !== 'dead-lettered') pauses = 0;
    onFinished(task, outcome);
    if (open === 0) wake(idleWaiters);
    showFetching();
  }

  const pauseMs = (failure: Failure): number => {
    const step = afterFailure(failure, 1, pauses, random);
    return step.kind === 'dead-letter' ? 0 : step.delayMs;
  };

  function pause(delayMs: number, error: unknown): void {
    if (state !== 'running') return;
    state = 'paused';
    pauses += 1;
    log.warn('partition waits for what is away', { topic, partition, delay_ms: delayMs, pauses, error });
    showFetching();
    after(delayMs, () => {
      state = 'running';
      showFetching();
      pump();
    });
  }

  function showFetching(): void {
    if (state === 'ended') return;
    // Half full before it goes on: else it would flip with every record.
    const isFull = fetching
      ? open >= openMax || openBytes >= openBytesMax
      : open > openMax / 2 || openBytes > openBytesMax / 2;
    const wanted = state !== 'paused' && !isFull;
    if (wanted === fetching) return;
    fetching = wanted;
    onFetching(wanted, wanted ? undefined : isFull ? 'full' : 'unavailable');
  }

  function after(delayMs: number, then: () => void): void {
    if (state === 'ended') return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (state !== 'ended') then();
    }, delayMs);
    timers.add(timer);
  }

  const addressOf = ({ record }: Task<E>) => ({ topic, partition, offset: record.offset });

  return {
    topic,
    partition,
    /** Records may run from now on. */
    begin(): void {
      if (state === 'preparing') state = 'running';
      pump();
    },
    /** While held back nothing more is begun, and nothing is given up: the group may join anew, or may not. */
    holdBack(isHeld: boolean): void {
      if (isHeldBack === isHeld) return;
      isHeldBack = isHeld;
      pump();
    },
    /**
     * Takes records in the order of their offsets.
     *
     * @param from where the batch was fetched
     * @param next all below it are in this or an earlier batch
     */
    add(records: readonly ConsumedRecord[], from: bigint, next: bigint): void {
      if (state === 'ended') return;
      lowWater ??= createLowWater(from);
      const now = Date.now();
      for (const record of records) {
        lowWater.begin(BigInt(record.offset));
        open += 1;
        openBytes += sizeOf(record);
        const task = newTask<E>(record, now);
        if (work.many === undefined) toLane(task);
        else batchQueue.push(task);
      }
      lowWater.reach(next);
      showFetching();
      pump();
    },
    /** All below are handled; undefined before the first batch. */
    committable: (): bigint | undefined => lowWater?.committable(),
    open: (): number => open,
    /** Resolves when every record that was added is handled, or nothing more will be begun. */
    idle: (): Promise<void> => (open === 0 || state === 'ended' ? Promise.resolve() : waitIn(idleWaiters)),
    /** Begins nothing more; what is begun goes on. */
    end(): void {
      state = 'ended';
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      wake(idleWaiters);
    },
    /** Tells the handlers that their work is not wanted any more. */
    abort: (): void => aborter.abort(),
    /** Resolves when nothing runs. */
    settled: (): Promise<void> => (running === 0 ? Promise.resolve() : waitIn(settledWaiters)),
  };
}

function waitIn(waiters: Set<() => void>): Promise<void> {
  return new Promise((resolve) => void waiters.add(resolve));
}

function wake(waiters: Set<() => void>): void {
  for (const waiter of waiters) waiter();
  waiters.clear();
}
