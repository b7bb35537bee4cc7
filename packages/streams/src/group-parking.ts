/** The lines of a group that keeps order, in Postgres: the place aside of each of its partitions. */
import { hostname } from 'node:os';
import type { Logger } from '@ragline/runtime/logger';
import type { RetryPolicy } from './after-failure.ts';
import type { Aside } from './aside.ts';
import { systemClock } from './clock.ts';
import { announceTo } from './parking/announce.ts';
import { createParking, defaultCaps, type ParkingOptions } from './parking/owner.ts';
import { postgresStore } from './parking/postgres-store.ts';
import type { Producer } from './producer.ts';
import type { RunPlace } from './retry/crashes.ts';
import type { RetryOptions } from './run-parts.ts';
import type { Slots } from './slots.ts';
import type { Task, Work } from './task.ts';

export type GroupParkingOptions<E> = {
  groupId: string;
  options: RetryOptions;
  slots: Slots;
  producer: Producer;
  onFinished: ParkingOptions<E>['onFinished'];
  onLate: ParkingOptions<E>['onLate'];
  log: Logger;
};

/**
 * What attempts at parked records run is given for each partition; so is who is told that its lease is lost, and who
 * is told that the driver is done with a record: handled, or its death stored.
 */
export type GroupParking<E> = (
  place: RunPlace,
  work: Work<E>,
  policy: RetryPolicy,
  onFenced: () => void,
  onSettled: (task: Task<E>) => void,
) => Aside<E>;

/** Gives undefined without a pool: nothing can be parked. */
export function groupParking<E>(group: GroupParkingOptions<E>): GroupParking<E> | undefined {
  const { groupId, slots, producer, log } = group;
  const { pool, deadHead = 'wait', caps } = group.options;
  if (pool === undefined) return undefined;
  // One for all partitions: it asks for what is due in all of them at once.
  const store = postgresStore(pool);
  const own = { store, slots, log, deadHead, caps: { ...defaultCaps, ...caps } };
  return (place, work, policy, onFenced, onSettled) =>
    createParking<E>({
      ...own,
      place: { group_id: groupId, ...place },
      owner: `${hostname()}/${process.pid}`,
      work,
      policy,
      clock: systemClock,
      random: Math.random,
      announce: announceTo(producer),
      onLate: group.onLate,
      onFinished(task, outcome) {
        onSettled(task);
        group.onFinished(task, outcome);
      },
      onFenced,
    });
}
