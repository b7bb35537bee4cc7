/**
 * Which offset of a partition may be committed while its records finish out of order.
 *
 * Committed is the lowest offset that is not finished: whatever lies below it is handled, so nothing is skipped
 * after a crash; what lies above it and is finished already will be delivered once more.
 */
export type LowWater = {
  /** Begins a record; offsets must rise. */
  begin(offset: bigint): void;
  /** Everything below `next` has been begun, also what the broker keeps to itself (markers of transactions). */
  reach(next: bigint): void;
  finish(offset: bigint): void;
  /** The next offset to read: all below it are finished. */
  committable(): bigint;
  /** How many are begun and not finished. */
  unfinished(): number;
};

export function createLowWater(start: bigint): LowWater {
  // In the order of offsets; those before `head` are finished and gone.
  let open: bigint[] = [];
  let head = 0;
  let next = start;
  const finished = new Set<bigint>();

  return {
    begin(offset) {
      if (offset < next) throw new RangeError(`Offset ${offset} was begun before (next is ${next})`);
      open.push(offset);
      next = offset + 1n;
    },
    reach(to) {
      if (to > next) next = to;
    },
    finish(offset) {
      finished.add(offset);
      for (let lowest = open[head]; lowest !== undefined && finished.delete(lowest); lowest = open[head]) {
        head += 1;
      }
      if (head === open.length || head > 4_096) {
        open = open.slice(head);
        head = 0;
      }
    },
    committable: () => open[head] ?? next,
    unfinished: () => open.length - head - finished.size,
  };
}
