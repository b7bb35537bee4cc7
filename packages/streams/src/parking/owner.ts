/**
 * Parking, as the owner of one partition does it for one assignment: which keys wait, who queues behind them, and
 * a driver that tries them again. Knows neither Kafka nor Postgres, and no time but the clock it is given.
 */
import type { Logger } from '@ragline/runtime/logger';
import type { RetryPolicy } from '../after-failure.ts';
import type { Aside } from '../aside.ts';
import { createClaim } from '../claim.ts';
import type { Clock } from '../clock.ts';
import type { Slots } from '../slots.ts';
import { inboxIdOf, keyOf, type Task, type Work } from '../task.ts';
import { again, Ended } from './again.ts';
import { afterFirst, type DeadHead } from './decide.ts';
import { type Driver, startDriver } from './driver.ts';
import type { Caps, Lease, Letter, Parkable, ParkingStore, Place } from './store.ts';

export type ParkingOptions<E> = {
  place: Place;
  /** Who owns it, for people who look at the lease. */
  owner: string;
  store: ParkingStore;
  /** What is done with records, in the driver too. */
  work: Work<E>;
  slots: Slots;
  policy: RetryPolicy;
  /** skip: a dead head gives up its place, and its followers go on. */
  deadHead: DeadHead;
  caps: Caps;
  clock: Clock;
  random: () => number;
  /** Produces a letter to the group's dead letter topic; resolves when it is stored. */
  announce(place: Place, letter: Letter): Promise<void>;
  /** The driver is done with an attempt at a record: handled, or dead. */
  onFinished(task: Task<E>, outcome: string): void;
  /** Told how many milliseconds late each attempt after a wait is. */
  onLate?: ((ms: number) => void) | undefined;
  /** Another owner has raised the lease: everything of this assignment stops. */
  onFenced(error: unknown): void;
  log: Logger;
};

export const defaultCaps: Caps = {
  lineRecords: 10_000,
  lineBytes: 64 * 1024 * 1024,
  partitionRecords: 100_000,
};

export function createParking<E>(options: ParkingOptions<E>): Aside<E> {
  const { place, store, clock, deadHead, caps, log } = options;
  const aborter = new AbortController();
  const around = { clock, log, isEnded: () => isOver };
  let parked = new Map<string, number>();
  let lease: Lease | undefined;
  let driver: Driver | undefined;
  let hasEnded = false;
  // Nothing of this assignment is wanted any more.
  let isOver = false;

  function held(): Lease {
    if (isOver || lease === undefined) throw new Ended('The assignment is over');
    return lease;
  }

  return {
    async open() {
      const assigned = await store.assign(place, options.owner);
      if (hasEnded) return;
      lease = assigned.lease;
      parked = assigned.parked;
    },

    begin() {
      if (hasEnded || lease === undefined || driver !== undefined) return;
      driver = startDriver<E>({
        ...options,
        lease,
        signal: aborter.signal,
        onGone(head) {
          const key = head.key?.toString('latin1');
          // Never without the comparison: the key may have been parked again meanwhile.
          if (key !== undefined && parked.get(key) === head.lineId) parked.delete(key);
        },
      });
    },

    waits(task) {
      const key = keyOf(task);
      return key !== null && parked.has(key);
    },

    async append(tasks) {
      const records = tasks.map(parkableOf);
      const statuses = await again(() => store.append(held(), records, caps), 'append', around);
      const [first] = tasks;
      const key = first === undefined ? null : keyOf(first);
      if (key !== null && statuses.includes('gone')) parked.delete(key);
      return statuses.map((status) => (status === 'kept already' ? 'kept' : status));
    },

    async setAside(task, step, error) {
      const { attempt, notBefore, firstFailedAt } = task;
      const now = clock.now();
      const verdict = afterFirst(step, error, { attempt, notBefore, now, deadHead });
      const record = parkableOf(task);
      const put = await again(
        () => store.park(held(), record, firstFailedAt ?? now, verdict, caps),
        'park',
        around,
      );
      if (put.kind === 'full') return undefined;
      // Its transaction was committed after all, and the answer lost.
      if (put.kind === 'handled') return 'handled';
      const key = keyOf(task);
      if (key !== null && !put.detached) parked.set(key, put.lineId);
      return verdict.kind === 'dead' ? 'dead-lettered' : 'parked';
    },

    claim(tasks) {
      const ids = [...new Set(tasks.map(inboxIdOf))];
      return createClaim(
        async (effect) => store.handle(held(), ids, effect),
        (fresh) => fresh.size === ids.length,
      );
    },

    // What lanes have begun they may finish.
    end() {
      hasEnded = true;
      driver?.end();
    },

    abort() {
      isOver = true;
      aborter.abort();
    },

    async close() {
      isOver = true;
      hasEnded = true;
      driver?.end();
      await driver?.settled();
    },
  };
}

function parkableOf<E>(task: Task<E>): Parkable {
  const { record, identity } = task;
  const { offset, key, value, headers, timestamp } = record;
  const ids = { event_id: identity?.event_id ?? '', tenant_id: identity?.tenant_id ?? null };
  return { offset, key, value, headers, timestamp, ...ids, inbox_id: inboxIdOf(task) };
}
