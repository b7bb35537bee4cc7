/**
 * Whose turn it is: records of one key one after another, keys side by side.
 *
 * A lane is one key. Taking an item makes its lane busy until `release`; a record without a key has a lane of
 * its own, since nothing is in order with it.
 */
export type Lanes<T> = {
  add(key: string | null, item: T): void;
  /** The item that has waited longest among the lanes that are free; undefined when none is. */
  take(): T | undefined;
  /** Takes those that wait directly behind an item that was taken, as long as they are wanted. */
  takeBehind(item: T, wanted: (item: T) => boolean): T[];
  /** Gives items back that were taken last, to the front of their lane. */
  putBack(items: readonly T[]): void;
  /** Frees the lane of what was taken, with its last item. */
  release(item: T): void;
  /** Whether something of this key is waiting or taken: what comes later must queue behind it. */
  has(key: string | null): boolean;
  /** Whether take() would give something. */
  ready(): boolean;
};

/** @property taken how many were taken and neither released nor given back; none else is while there is one */
type Lane<T> = { key: string | null; items: T[]; taken: number };

/** @param order 'none' gives every item a lane of its own */
export function createLanes<T extends object>(order: 'by-key' | 'none'): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const laneOf = new Map<T, Lane<T>>();
  // Lanes that are free and not empty, in the order in which they became so. The Set makes removal cheap.
  const ready = new Set<Lane<T>>();

  const laneFor = (key: string | null): Lane<T> => {
    if (key === null || order === 'none') return { key: null, items: [], taken: 0 };
    const known = lanes.get(key);
    if (known !== undefined) return known;
    const lane: Lane<T> = { key, items: [], taken: 0 };
    lanes.set(key, lane);
    return lane;
  };

  const takenFrom = (item: T): Lane<T> => {
    const lane = laneOf.get(item);
    if (lane === undefined) throw new Error('The item was not taken');
    return lane;
  };
  const freed = (lane: Lane<T>): void => {
    lane.taken -= 1;
    if (lane.taken > 0) return;
    if (lane.items.length > 0) ready.add(lane);
    else if (lane.key !== null) lanes.delete(lane.key);
  };

  return {
    add(key, item) {
      const lane = laneFor(key);
      lane.items.push(item);
      if (lane.taken === 0) ready.add(lane);
    },
    take() {
      const { value: lane } = ready.values().next();
      const item = lane?.items.shift();
      if (lane === undefined || item === undefined) return undefined;
      ready.delete(lane);
      lane.taken = 1;
      laneOf.set(item, lane);
      return item;
    },
    takeBehind(item, wanted) {
      const lane = takenFrom(item);
      const until = lane.items.findIndex((it) => !wanted(it));
      const behind = lane.items.splice(0, until === -1 ? lane.items.length : until);
      for (const it of behind) laneOf.set(it, lane);
      lane.taken += behind.length;
      return behind;
    },
    putBack(items) {
      for (const item of [...items].reverse()) {
        const lane = takenFrom(item);
        laneOf.delete(item);
        lane.items.unshift(item);
        freed(lane);
      }
    },
    release(item) {
      const lane = takenFrom(item);
      laneOf.delete(item);
      freed(lane);
    },
    has: (key) => key !== null && lanes.has(key),
    ready: () => ready.size > 0,
  };
}
