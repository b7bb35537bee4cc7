/** Faults of the owner's own decisions, put between it and its ports. */
import type { Aside } from '../aside.ts';
import type { ParkingStore } from '../parking/store.ts';
import type { Tx } from './database.ts';
import type { Fault } from './faults.ts';
import type { Actor, Scheduler } from './scheduler.ts';

type Planting = { fault: Fault | undefined; scheduler: Scheduler };

export function plantedStore(
  store: ParkingStore<Tx>,
  actor: Actor,
  { fault, scheduler }: Planting,
): ParkingStore<Tx> {
  if (fault !== 'forget-late') return store;
  let known = new Map<string, number>();
  return {
    ...store,
    async assign(place, owner) {
      const assigned = await store.assign(place, owner);
      known = assigned.parked;
      return assigned;
    },
    async attemptAll(lease, heads, effect) {
      const done = await store.attemptAll(lease, heads, effect);
      await scheduler.turn(actor);
      for (const { lineId, key } of heads)
        if (done.linesGone.has(lineId) && key !== null) known.delete(key.toString('latin1'));
      return done;
    },
    async attempt(lease, head, ids, effect) {
      const done = await store.attempt(lease, head, ids, effect);
      await scheduler.turn(actor);
      if (done.kind === 'done' && done.lineGone && head.key !== null)
        known.delete(head.key.toString('latin1'));
      return done;
    },
  };
}

export function plantedAside<E>(aside: Aside<E>, actor: Actor, { fault, scheduler }: Planting): Aside<E> {
  if (fault === 'commit-before-park') {
    return {
      ...aside,
      async setAside(...failed) {
        const done = aside.setAside(...failed);
        done.catch(() => {});
        await scheduler.turn(actor);
        return 'parked';
      },
    };
  }
  if (fault === 'gone-is-done') {
    return {
      ...aside,
      async append(tasks) {
        const statuses = await aside.append(tasks);
        return statuses.map((status) => (status === 'gone' ? 'kept' : status));
      },
    };
  }
  return aside;
}
