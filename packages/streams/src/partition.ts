import { afterFailure, type NextStep, routed } from './after-failure.ts';
import type { PutAside } from './aside.ts';
import { createBatches } from './batches.ts';
import { systemClock } from './clock.ts';
import { createFetching } from './fetching.ts';
import { createFollowing } from './following.ts';
import { createLanes } from './lanes.ts';
import { createLowWater, type LowWater } from './low-water.ts';
import type { PartitionOptions } from './partition-options.ts';
import type { ConsumedRecord } from './record.ts';
import { createRoom } from './room.ts';
import { admitted, keyOf, newTask, sizeOf, type Task } from './task.ts';
import { createTimers } from './timers.ts';

export type PartitionRun = ReturnType<typeof createPartitionRun>;

const openAgainMs = 500;

export function createPartitionRun<E>(options: PartitionOptions<E>) {
  const { topic, partition, order, work, slots, aside, policy, onFinished, onFetching, log, random } =
    options;
  const { clock = systemClock, taskOf = newTask<E>, flood } = options;
  const aborter = new AbortController();
  const lanes = createLanes<Task<E>>(order);
  const { after, end: endTimers } = createTimers(clock);
  const fetching = createFetching(onFetching);
  const room = createRoom<Task<E>>({
    fetching,
    after,
    again: hold,
    onFull: (task) => log.warn('no room for what waits', addressOf(task)),
  });
  const follow = createFollowing(aside, work, lanes, policy);
  const batches = createBatches<E>({
    ...options,
    signal: aborter.signal,
    goesOn: () => state === 'running' && !isHeldBack,
    isBehind: (task) => order === 'by-key' && (lanes.has(keyOf(task)) || aside.waits(task)),
    toLane,
    finish,
    isOver,
    pause: (error) => pause(pauseMs(), error),
  });
  const idleWaiters = new Set<() => void>();
  const settledWaiters = new Set<() => void>();
  // Taken from their lanes and due, but held back while the partition was paused.
  const held: Task<E>[] = [];
  // What is to be put aside and could not be yet.
  const decided = new Map<Task<E>, { step: PutAside; error: unknown }>();
  let lowWater: LowWater | undefined;
  let state: 'preparing' | 'running' | 'paused' | 'ended' = 'preparing';
  let isOpening = false;
  let isHeldBack = false;
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
    return held.length > 0 || lanes.ready() || batches.ready();
  }

  function startJob(): Promise<void> {
    const task = nextTask();
    return task === undefined ? batches.run() : runOne(task);
  }

  function nextTask(): Task<E> | undefined {
    if (!flood?.isShut()) return held.shift() ?? lanes.take();
    // What was refused would else be all that is ever asked about, and what would work waits behind it for ever.
    return lanes.take() ?? (batches.ready() ? undefined : held.shift());
  }

  async function openAside(): Promise<void> {
    try {
      await aside.open();
      if (state !== 'preparing') return;
      aside.begin?.();
      state = 'running';
      pump();
    } catch (error) {
      if (state !== 'preparing') return;
      log.warn('partition could not be begun', { topic, partition, delay_ms: openAgainMs, error });
      after(openAgainMs, () => void openAside());
    }
  }

  async function runOne(task: Task<E>): Promise<void> {
    const step = decided.get(task);
    if (step !== undefined) return putAside(task, step.step, step.error);
    try {
      if (order === 'by-key' && aside.waits(task) && (await queued(task))) return;
      flood?.enter(task);
      const event = await admitted(task, work);
      const claim = aside.claim([task]);
      const { once, onceBatch } = claim;
      const attempt = { signal: aborter.signal, attempt: task.attempt, once, onceBatch };
      const outcome = await work.one(event, attempt);
      await claim.settle();
      flood?.worked(task);
      finish(task, outcome);
    } catch (error) {
      await failed(task, error);
    }
  }

  /** Puts a record behind those of its key that wait; false when none waits any more. */
  async function queued(first: Task<E>): Promise<boolean> {
    const { kept, isGone, roomless } = await follow(first);
    for (const task of kept) finish(task, 'parked');
    if (isGone) room.found(first);
    if (roomless === undefined) return !isGone;
    room.wait(roomless);
    return true;
  }

  async function failed(task: Task<E>, cause: unknown): Promise<void> {
    if (isOver(cause)) return;
    const error = flood === undefined ? cause : flood.judge(task, cause);
    const { attempt, conflicts } = task;
    const failure = routed(error, policy.routes);
    const step = afterFailure(failure, { attempt, conflicts, pauses }, policy, random);
    if (step.kind === 'pause') {
      held.push(task);
      return pause(step.delayMs, error);
    }
    if (failure.kind === 'conflict') task.conflicts += 1;
    else task.firstFailedAt ??= clock.now();
    if (step.kind !== 'again') return putAside(task, step, error);
    log.info('record is tried again', { ...addressOf(task), attempt, error });
    if (failure.kind !== 'conflict') task.attempt += 1;
    task.notBefore = clock.now() + step.delayMs;
    after(step.delayMs, () => hold(task));
  }

  function hold(task: Task<E>): void {
    held.push(task);
    pump();
  }

  async function putAside(task: Task<E>, step: PutAside, error: unknown): Promise<void> {
    try {
      const outcome = await aside.setAside(task, step, error);
      if (outcome === undefined) {
        decided.set(task, { step, error });
        return room.wait(task);
      }
      decided.delete(task);
      finish(task, outcome);
    } catch (cause) {
      if (isOver(cause)) return;
      log.error('failed record could not be put aside', { ...addressOf(task), error: cause });
      decided.set(task, { step, error });
      held.push(task);
      pause(pauseMs(), cause);
    }
  }

  /** Aborted with its assignment: whoever has the partition now gets the record again. */
  function isOver(error: unknown): boolean {
    if (error instanceof Error && error.name === 'Fenced' && state !== 'ended') {
      log.warn('partition has another owner', { topic, partition, error });
      end();
      aborter.abort();
      aside.abort?.();
      options.onFenced();
    }
    return aborter.signal.aborted || (error instanceof Error && error.name === 'Ended');
  }

  /** Fetched a moment before it is due. */
  function later(task: Task<E>): void {
    after(Math.max(1, task.notBefore - clock.now()), () => {
      // A timer may be a little early, and so may the clock have been set.
      if (clock.now() < task.notBefore) return later(task);
      toLane(task);
      pump();
    });
  }

  function toLane(task: Task<E>): void {
    task.inLane = true;
    lanes.add(keyOf(task), task);
  }

  function finish(task: Task<E>, outcome: string): void {
    room.found(task);
    if (task.inLane) lanes.release(task);
    lowWater?.finish(BigInt(task.record.offset));
    fetching.count(-1, -sizeOf(task.record));
    if (outcome !== 'dead-lettered' && outcome !== 'parked') pauses = 0;
    onFinished(task, outcome);
    if (fetching.open() === 0) wake(idleWaiters);
    fetching.show();
  }

  const pauseMs = (): number => {
    const history = { attempt: 1, conflicts: 0, pauses };
    const step: NextStep = afterFailure({ kind: 'unavailable' }, history, policy, random);
    return step.kind === 'dead-letter' ? 0 : step.delayMs;
  };

  function pause(delayMs: number, error: unknown): void {
    if (state !== 'running') return;
    state = 'paused';
    pauses += 1;
    log.warn('partition waits for what is away', { topic, partition, delay_ms: delayMs, pauses, error });
    fetching.pause(true);
    after(delayMs, () => {
      state = 'running';
      fetching.pause(false);
      pump();
    });
  }

  function end(): void {
    state = 'ended';
    endTimers();
    fetching.end();
    aside.end?.();
    wake(idleWaiters);
  }

  const addressOf = ({ record }: Task<E>) => ({ topic, partition, offset: record.offset });

  return {
    topic,
    partition,
    /** Opens where failed records wait; then records may run. */
    begin(): void {
      if (state !== 'preparing' || isOpening) return;
      isOpening = true;
      void openAside();
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
      const now = clock.now();
      for (const record of records) {
        lowWater.begin(BigInt(record.offset));
        fetching.count(1, sizeOf(record));
        const task = taskOf(record, now);
        if (task.notBefore > now) later(task);
        else if (work.many === undefined) toLane(task);
        else batches.add(task);
      }
      lowWater.reach(next);
      fetching.show();
      pump();
    },
    /** All below are handled or kept aside; undefined before the first batch. */
    committable: (): bigint | undefined => lowWater?.committable(),
    open: fetching.open,
    /** Resolves when every record that was added is handled, or nothing more will be begun. */
    idle: (): Promise<void> =>
      fetching.open() === 0 || state === 'ended' ? Promise.resolve() : waitIn(idleWaiters),
    /** Begins nothing more; what is begun goes on. */
    end,
    /** Tells the handlers that their work is not wanted any more. */
    abort(): void {
      aborter.abort();
      aside.abort?.();
    },
    /** Resolves when nothing runs; of a run that has ended, also aside. */
    async settled(): Promise<void> {
      if (running > 0) await waitIn(settledWaiters);
      if (state === 'ended') await aside.close();
    },
  };
}

function waitIn(waiters: Set<() => void>): Promise<void> {
  return new Promise((resolve) => void waiters.add(resolve));
}

function wake(waiters: Set<() => void>): void {
  for (const waiter of waiters) waiter();
  waiters.clear();
}
