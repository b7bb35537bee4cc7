/** How many records a partition has at most, so that its cap costs a query only when it may have been reached. */
import type { Lease } from './store.ts';

type Held = { records: number; onTheirWay: number };

/** @param count how many there are; asked only when the bound says that the cap may be reached */
export function createRoom(count: (lease: Lease) => Promise<number>) {
  const byLease = new WeakMap<Lease, Held>();

  function heldOf(lease: Lease): Held {
    const held = byLease.get(lease) ?? { records: 0, onTheirWay: 0 };
    byLease.set(lease, held);
    return held;
  }

  return {
    /** What there was when the lease was raised. */
    begin: (lease: Lease, records: number): void => void byLease.set(lease, { records, onTheirWay: 0 }),
    /** So many have left. */
    left(lease: Lease, records: number): void {
      heldOf(lease).records -= records;
    },
    /** Runs what adds records, told whether all of them fit, and how many it has kept by what it resolves with. */
    async taking<T>(
      lease: Lease,
      { records, most }: { records: number; most: number },
      add: (hasRoom: boolean) => Promise<T>,
      keptOf: (result: T) => number,
    ): Promise<T> {
      const held = heldOf(lease);
      // What operators have taken out is known by counting alone.
      if (held.records + held.onTheirWay + records > most) held.records = await count(lease);
      const hasRoom = held.records + held.onTheirWay + records <= most;
      held.onTheirWay += records;
      try {
        const result = await add(hasRoom);
        held.records += keptOf(result);
        return result;
      } catch (error) {
        // It may have been done all the same.
        held.records += records;
        throw error;
      } finally {
        held.onTheirWay -= records;
      }
    },
  };
}
