/** Records of a key that waits aside go behind it: all that are there in one step. */
import { type RetryPolicy, routed } from './after-failure.ts';
import type { Aside } from './aside.ts';
import type { Lanes } from './lanes.ts';
import { admitted, sizeOf, type Task, type Work } from './task.ts';

export type Followed<E> = {
  kept: readonly Task<E>[];
  /** Nothing of the key waits any more. */
  isGone: boolean;
  /** The first for which there is no room at present. */
  roomless: Task<E> | undefined;
};

const tasksMax = 100;
const bytesMax = 1024 * 1024;

/**
 * Puts a record that was taken from its lane, and those behind it there, behind what waits; what is not kept is back
 * in the lane, but for the first.
 */
export function createFollowing<E>(
  aside: Pick<Aside<E>, 'append'>,
  work: Work<E>,
  lanes: Lanes<Task<E>>,
  policy: RetryPolicy,
) {
  /** What means nothing queues too, so that it is tried, and dies, in its turn. Throws when something is away. */
  async function read(task: Task<E>): Promise<void> {
    try {
      await admitted(task, work);
    } catch (error) {
      if (routed(error, policy.routes).kind === 'unavailable') throw error;
    }
  }

  function takeBehind(first: Task<E>): Task<E>[] {
    let count = 1;
    let bytes = sizeOf(first.record);
    return lanes.takeBehind(first, ({ record }) => {
      count += 1;
      bytes += sizeOf(record);
      return count <= tasksMax && bytes <= bytesMax;
    });
  }

  return async (first: Task<E>): Promise<Followed<E>> => {
    await read(first);
    const tasks = [first, ...takeBehind(first)];
    let done = 1;
    try {
      let readable = 1;
      for (const task of tasks.slice(1)) {
        // It will say so itself when it is the first.
        const isRead = await read(task).then(
          () => true,
          () => false,
        );
        if (!isRead) break;
        readable += 1;
      }
      const statuses = await aside.append(tasks.slice(0, readable));
      const kept = statuses.findIndex((status) => status !== 'kept');
      const count = kept === -1 ? readable : kept;
      const isFull = statuses[count] === 'full';
      done = Math.max(1, isFull ? count + 1 : count);
      return {
        kept: tasks.slice(0, count),
        isGone: statuses[count] === 'gone',
        roomless: isFull ? tasks[count] : undefined,
      };
    } finally {
      lanes.putBack(tasks.slice(done));
    }
  };
}
