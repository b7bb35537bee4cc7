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
  /** Frees the lane of an item that was taken. */
  release(item: T): void;
  /** Whether something of this key is waiting or taken: what comes later must queue behind it. */
  has(key: string | null): boolean;
  /** Whether take() would give something. */
  ready(): boolean;
};

type Lane<T> = { key: string | null; items: T[]; busy: boolean };

/** @param order 'none' gives every item a lane of its own */
export function createLanes<T extends object>(order: 'by-key' | 'none'): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const laneOf = new Map<T, Lane<T>>();
  // Lanes that are free and not empty, in the order in which they became so. The Set makes removal cheap.
  const ready = new Set<Lane<T>>();

  const laneFor = (key: string | null): Lane<T> => {
    if (key === null || order === 'none') return { key: null, items: [], busy: false };
    const known = lanes.get(key);
    if (known !== undefined) return known;
    const lane: Lane<T> = { key, items: [], busy: false };
    lanes.set(key, lane);
    return lane;
  };

  return {
    add(key, item) {
      const lane = laneFor(key);
      lane.items.push(item);
      if (!lane.busy) ready.add(lane);
    },
    take() {
      const { value: lane } = ready.values().next();
      const item = lane?.items.shift();
      if (lane === undefined || item === undefined) return undefined;
      ready.delete(lane);
      lane.busy = true;
      laneOf.set(item, lane);
      return item;
    },
    release(item) {
      const lane = laneOf.get(item);
      if (lane === undefined) throw new Error('The item was not taken');
      laneOf.delete(item);
      lane.busy = false;
      if (lane.items.length > 0) ready.add(lane);
      else if (lane.key !== null) lanes.delete(lane.key);
    },
    has: (key) => key !== null && lanes.has(key),
    ready: () => ready.size > 0,
  };
}
