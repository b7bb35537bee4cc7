/** How many handlers of one consumer run at a time, over all its partitions. */
export type Slots = {
  /** Takes a slot; when none is free, `wake` is called once, as soon as one is. */
  take(wake: () => void): boolean;
  /** Resolves when a slot is the caller's: in its turn, and no other can take it meanwhile. */
  taken(): Promise<void>;
  release(): void;
};

export function createSlots(count: number): Slots {
  let free = count;
  // In the order of asking, so that no partition starves.
  const sleepers = new Set<() => void>();

  return {
    take(wake) {
      if (free > 0) {
        free -= 1;
        sleepers.delete(wake);
        return true;
      }
      sleepers.add(wake);
      return false;
    },
    taken() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const own = () => {
        free -= 1;
        resolve();
      };
      if (free > 0) own();
      else sleepers.add(own);
      return promise;
    },
    release() {
      free += 1;
      // Not one alone: it may want the slot no more, and the others would sleep on beside a free one.
      for (const wake of sleepers) {
        if (free === 0) return;
        sleepers.delete(wake);
        wake();
      }
    },
  };
}
