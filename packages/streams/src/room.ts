/** Records for which there is no room where they would wait: the partition reads no more until each has found some. */
import type { Fetching } from './fetching.ts';

const againMs = 250;
const againMsMax = 10_000;

type RoomOptions<T> = {
  fetching: Pick<Fetching, 'room'>;
  after(ms: number, done: () => void): void;
  /** Tries the record once more. */
  again(task: T): void;
  /** The first has none. */
  onFull(task: T): void;
};

export function createRoom<T>({ fetching, after, again, onFull }: RoomOptions<T>) {
  const roomless = new Set<T>();

  return {
    /** Together they ask as often as one would, and do not keep those busy that have room. */
    wait(task: T): void {
      if (roomless.size === 0) onFull(task);
      if (!roomless.has(task)) {
        roomless.add(task);
        fetching.room(1);
      }
      after(Math.min(againMs * roomless.size, againMsMax), () => again(task));
    },
    /** It needs none any more. */
    found(task: T): void {
      if (roomless.delete(task)) fetching.room(-1);
    },
  };
}
