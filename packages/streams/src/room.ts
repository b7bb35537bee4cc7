/** Records for which there is no room where they would wait: the partition reads no more until each has found some. */
import type { Fetching } from './fetching.ts';

const againMs = 250;
// Of one: a full partition of 100,000 lines is counted in 0.1 s.
const againMsMax = 2_000;
const togetherMsMax = 10_000;

type RoomOptions<T> = {
  fetching: Pick<Fetching, 'room'>;
  after(ms: number, done: () => void): void;
  /** Tries the record once more. */
  again(task: T): void;
  /** The first has none. */
  onFull(task: T): void;
};

export function createRoom<T>({ fetching, after, again, onFull }: RoomOptions<T>) {
  // How often each has asked.
  const roomless = new Map<T, number>();

  return {
    /** Together they ask as often as one would, and do not keep those busy that have room. */
    wait(task: T): void {
      if (roomless.size === 0) onFull(task);
      const asked = roomless.get(task) ?? 0;
      roomless.set(task, asked + 1);
      if (asked === 0) fetching.room(1);
      const ms = Math.min(againMs * 2 ** asked, againMsMax);
      after(Math.min(ms * roomless.size, togetherMsMax), () => again(task));
    },
    /** It needs none any more. */
    found(task: T): void {
      if (roomless.delete(task)) fetching.room(-1);
    },
  };
}
