/**
 * The driver of one assignment: tries heads that are due, drains the lines behind them, announces what is dead.
 *
 * One attempt at a time in a line, several lines at once; heads of several in one transaction where the work can do
 * many, and each by itself when that fails. What it has read is looked at again under the lock.
 */
import type { Logger } from '@ragline/runtime/logger';
import type { RetryPolicy } from '../after-failure.ts';
import { createClaim } from '../claim.ts';
import type { Clock } from '../clock.ts';
import type { Slots } from '../slots.ts';
import { admitted, newTask, type Task, type Work } from '../task.ts';
import { again, Ended, isFenced } from './again.ts';
import { afterRetry, type DeadHead } from './decide.ts';
import type { Head, Lease, Letter, ParkingStore, Place } from './store.ts';

export type DriverOptions<E> = {
  lease: Lease;
  store: ParkingStore;
  work: Work<E>;
  slots: Slots;
  policy: RetryPolicy;
  deadHead: DeadHead;
  clock: Clock;
  random: () => number;
  log: Logger;
  /** Aborted when handlers are not wanted any more. */
  signal: AbortSignal;
  announce(place: Place, letter: Letter): Promise<void>;
  /** A line is gone. */
  onGone(head: Head): void;
  onFinished(task: Task<E>, outcome: string): void;
  /** Told how many milliseconds late each attempt after a wait is. */
  onLate?: ((ms: number) => void) | undefined;
  onFenced(error: unknown): void;
};

export type Driver = ReturnType<typeof startDriver>;

const pollMs = 250;
const linesAtOnce = 8;
// Read together, and gone through before more are read.
const linesRead = 100;
const linesInFlight = 200;
const lettersAtOnce = 200;

/** The record was not what had been read any more; nothing was done. */
class Moved extends Error {
  override readonly name = 'Moved';
}

export function startDriver<E>(options: DriverOptions<E>) {
  const { lease, store, work, slots, policy, deadHead, clock, random, log, signal, announce } = options;
  const { group_id, topic, partition } = lease.place;
  // Lines whose turn it is, and those that were read and wait for it.
  const inFlight = new Set<number>();
  const queued: (readonly Head[])[] = [];
  let alone = 0;
  const running = new Set<Promise<void>>();
  const conflicts = new Map<number, number>();
  // Deaths that were produced and may not be marked yet, by record.
  const told = new Map<number, number>();
  // A failure is booked as long as anybody may: the next owner goes on with the right attempt.
  const around = { clock, log, isEnded: () => signal.aborted };
  let isOver = false;
  let announcing = false;
  // Something has become due since the last look.
  let isHasty = false;
  let wake = () => {};

  function track(work: Promise<void>): void {
    const guarded = work
      .catch((error: unknown) => {
        if (isFenced(error)) options.onFenced(error);
        else if (!(error instanceof Ended)) log.error('parking failed', { topic, partition, error });
      })
      .finally(() => running.delete(guarded));
    running.add(guarded);
  }

  async function loop(): Promise<void> {
    while (!isOver) {
      isHasty = false;
      try {
        const found = await store.look(lease);
        if (found.letters && !announcing) track(announceAll());
        if (found.due) await driveDue();
      } catch (error) {
        if (isFenced(error)) throw error;
        log.warn('parked keys were not looked at', { group: group_id, topic, partition, error });
        isHasty = false;
      }
      if (!isOver && !isHasty) await nextPoll();
    }
  }

  function nextPoll(): Promise<void> {
    return new Promise((resolve) => {
      // In time with other partitions' drivers, so that one query asks for all.
      const timer = clock.after(pollMs - (clock.now() % pollMs), resolve);
      wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  function hurry(): void {
    isHasty = true;
    wake();
  }

  async function driveDue(): Promise<void> {
    if (queued.length > 0 || inFlight.size >= linesInFlight) return;
    // Whatever is in flight while this is read may have been read before its end.
    const busy = new Set(inFlight);
    const heads = await store.due(lease, busy.size + linesRead);
    if (isOver) return;
    for (const [lineId, queue] of Map.groupBy(heads, (head) => head.lineId)) {
      if (!busy.has(lineId) && !inFlight.has(lineId)) queued.push(queue);
    }
    const attempts = Map.groupBy(work.many ? queued.splice(0) : [], ([head]) => head?.attempt);
    for (const queues of attempts.values()) {
      if (queues.length > 1) track(driveTogether(queues));
      else queued.push(...queues);
    }
    driveNext();
  }

  function driveNext(): void {
    while (!isOver && alone < linesAtOnce) {
      const queue = queued.shift();
      if (queue === undefined) return;
      track(driveLine(queue));
    }
  }

  /** Heads of lines in one transaction, then those behind them; whatever does not leave so is tried by itself. */
  async function driveTogether(queues: readonly (readonly Head[])[]): Promise<void> {
    const lineIds = queues.flatMap(([head]) => head?.lineId ?? []);
    for (const id of lineIds) inFlight.add(id);
    let haveLeft = false;
    try {
      for (let rest = queues; rest.length > 0 && !isOver; ) {
        const left = await inSlot(() => tryTogether(rest.flatMap((queue) => queue[0] ?? [])));
        if (left === undefined) {
          queued.push(...rest);
          break;
        }
        haveLeft ||= left.size > 0;
        const go = rest.filter(([head]) => head !== undefined && left.has(head.recordId));
        rest = go.map((queue) => queue.slice(1)).filter((queue) => queue.length > 0);
      }
    } finally {
      for (const id of lineIds) inFlight.delete(id);
      driveNext();
      if (haveLeft) hurry();
    }
  }

  /** Which records have left their lines; undefined: it has failed, and one of them may be why. */
  async function tryTogether(heads: readonly Head[]): Promise<ReadonlySet<number> | undefined> {
    const tasks = heads.map(taskOf);
    const begunAt = clock.now();
    let left: ReadonlySet<number> | undefined;
    const claim = createClaim(
      async (effect) => {
        const eventIds = new Map(tasks.map(({ identity }, at) => [heads[at]?.inbox_id, identity?.event_id]));
        const done = await store.attemptAll(lease, heads, (client, fresh) =>
          effect(client, new Set([...fresh].flatMap((id) => eventIds.get(id) ?? []))),
        );
        left = done.left;
        for (const head of heads) if (done.linesGone.has(head.lineId)) options.onGone(head);
        return done.value;
      },
      (fresh) => fresh.size === heads.length,
    );
    let outcomes: readonly string[] = [];
    try {
      const events = await Promise.all(tasks.map((task) => admitted(task, work)));
      // What was garbage has two ids, and of two copies the inbox would call both fresh: each by itself.
      const ids = new Set(tasks.map(({ identity }) => identity?.event_id));
      if (ids.size < heads.length || heads.some(({ event_id }) => event_id === '')) return undefined;
      const attempt = tasks[0]?.attempt ?? 1;
      outcomes = (await work.many?.(events, { signal, attempt, once: claim.onceBatch })) ?? [];
      await claim.settle();
    } catch (error) {
      if (isFenced(error)) throw error;
      if (signal.aborted) throw new Ended('The assignment is over');
      const said = { group: group_id, topic, partition, records: heads.length, error };
      if (left === undefined) {
        log.info('parked records failed together', said);
        return undefined;
      }
      log.warn('handler failed after its effect', said);
    }
    for (const [at, task] of tasks.entries()) {
      const head = heads[at];
      if (head === undefined || !left?.has(head.recordId)) continue;
      if (head.attempt > 0) options.onLate?.(Math.max(0, begunAt - head.notBefore));
      conflicts.delete(head.recordId);
      options.onFinished(task, outcomes[at] ?? 'handled');
    }
    return left;
  }

  /** Its records one after another, as long as each leaves. */
  async function driveLine(queue: readonly Head[]): Promise<void> {
    const lineId = queue[0]?.lineId ?? 0;
    inFlight.add(lineId);
    alone += 1;
    let hasLeft = false;
    try {
      for (const head of queue) {
        if (isOver) return;
        hasLeft = await inSlot(() => tryOnce(head));
        if (!hasLeft) return;
      }
    } finally {
      inFlight.delete(lineId);
      const wasFull = alone >= linesAtOnce;
      alone -= 1;
      driveNext();
      // More may be behind what was read; and another line may have waited for its turn.
      if (queued.length === 0 && (hasLeft || wasFull)) hurry();
    }
  }

  async function inSlot<T>(job: () => Promise<T>): Promise<T> {
    await slots.taken();
    try {
      if (isOver) throw new Ended('The assignment is over');
      return await job();
    } finally {
      slots.release();
    }
  }

  /** Whether the record has left its line. */
  async function tryOnce(head: Head): Promise<boolean> {
    const task = taskOf(head);
    // A follower's wait is its line's, and says nothing.
    if (head.attempt > 0) options.onLate?.(Math.max(0, clock.now() - head.notBefore));
    let hasLeft = false;
    let hasMoved = false;
    const ids = () => {
      const id = task.identity?.event_id;
      // Parked as garbage, under its address; now it can be read, and another copy may have been handled.
      return head.event_id === '' && id !== undefined && id !== head.inbox_id
        ? [head.inbox_id, id]
        : [head.inbox_id];
    };
    const claim = createClaim(
      async (effect) => {
        const claimed = ids();
        const own = new Set([task.identity?.event_id ?? head.inbox_id]);
        const done = await store.attempt(lease, head, claimed, (client, fresh) =>
          effect(client, claimed.every((id) => fresh.has(id)) ? own : new Set()),
        );
        if (done.kind === 'moved') {
          hasMoved = true;
          throw new Moved('The record is not what was read any more');
        }
        hasLeft = true;
        if (done.lineGone) options.onGone(head);
        return done.value;
      },
      (fresh) => fresh.size > 0,
    );
    try {
      const event = await admitted(task, work);
      const { once, onceBatch } = claim;
      const outcome = await work.one(event, { signal, attempt: task.attempt, once, onceBatch });
      await claim.settle();
      conflicts.delete(head.recordId);
      options.onFinished(task, outcome);
    } catch (error) {
      if (isFenced(error)) throw error;
      if (signal.aborted) throw new Ended('The assignment is over');
      // Whatever the handler made of the error.
      if (hasMoved) return false;
      // It took effect, and what the handler did afterwards failed.
      if (!hasLeft) await book(task, head, error);
      else {
        log.warn('handler failed after its effect', { ...addressOf(head), error });
        options.onFinished(task, 'handled');
      }
    }
    return hasLeft;
  }

  async function book(task: Task<E>, head: Head, error: unknown): Promise<void> {
    const seen = conflicts.get(head.recordId) ?? 0;
    const verdict = afterRetry(error, head, { policy, deadHead, conflicts: seen, now: clock.now(), random });
    if (verdict.kind === 'again') conflicts.set(head.recordId, seen + 1);
    else conflicts.delete(head.recordId);
    log.info('parked record failed', {
      ...addressOf(head),
      attempt: task.attempt,
      verdict: verdict.kind,
      error,
    });
    const booked = await again(() => store.fail(lease, head, verdict), 'fail', around);
    // Its COMMIT may have been done, and its answer lost: there may be followers to go on with.
    if (booked === 'moved') return hurry();
    if (verdict.kind === 'dead') options.onFinished(task, 'dead-lettered');
  }

  function taskOf(head: Head): Task<E> {
    const { offset, key, value, headers, timestamp, attempt, notBefore, firstFailedAt } = head;
    const record = { topic, partition, offset, key, value, headers, timestamp };
    const times = { attempt: attempt + 1, notBefore, firstFailedAt };
    return { ...newTask<E>(record, clock.now()), ...times };
  }

  async function announceAll(): Promise<void> {
    announcing = true;
    try {
      const letters = await store.unannounced(lease, lettersAtOnce);
      const listed = new Set(letters.map(({ recordId }) => recordId));
      for (const id of told.keys()) if (!listed.has(id)) told.delete(id);
      // Together, so that the store and the producer can make one statement and one request of them.
      const results = await Promise.allSettled(letters.map(announceOne));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      if (letters.length === lettersAtOnce) hurry();
    } catch (error) {
      if (isFenced(error) || error instanceof Ended) throw error;
      log.warn('dead letters were not announced', { group: group_id, topic, partition, error });
    } finally {
      announcing = false;
    }
  }

  async function announceOne(letter: Letter): Promise<void> {
    if (isOver) return;
    const { recordId, deaths, error, offset } = letter;
    if (told.get(recordId) !== deaths) {
      // Marked after it is stored: after a crash there may be two letters, never none.
      await announce(lease.place, letter);
      told.set(recordId, deaths);
      const said = { parked_record: recordId, deaths, attempt: error.attempt, error_code: error.code };
      log.warn('record dead-lettered', { group: group_id, topic, partition, offset, ...said });
    }
    await again(() => store.announced(lease, recordId, deaths), 'announced', around);
  }

  const addressOf = ({ offset, recordId }: Head) => {
    return { group: group_id, topic, partition, offset, parked_record: recordId };
  };

  track(loop());

  return {
    /** Something may have become due. */
    hurry,
    /** Begins nothing more. */
    end(): void {
      isOver = true;
      wake();
    },
    /** Resolves when nothing runs. */
    async settled(): Promise<void> {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
