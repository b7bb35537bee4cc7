/** Which records go together in one transaction. */
import { type RetryPolicy, routed } from './after-failure.ts';
import { admitted, inboxIdOf, keyOf, type Task, type Work } from './task.ts';

type Sorting<E> = {
  order: 'by-key' | 'none';
  policy: RetryPolicy;
  work: Work<E>;
};

/**
 * What a batch's records mean. Apart: those that mean nothing, a second copy of an event, and what is behind one of
 * them in its key. Throws when what is needed to read them is away.
 */
export async function takeBatch<E>(tasks: readonly Task<E>[], { order, policy, work }: Sorting<E>) {
  const good: { task: Task<E>; event: E }[] = [];
  const apart: Task<E>[] = [];
  const keysApart = new Set<string>();
  const ids = new Set<string>();
  for (const task of tasks) {
    const key = order === 'by-key' ? keyOf(task) : null;
    if (key !== null && keysApart.has(key)) {
      apart.push(task);
      continue;
    }
    try {
      const event = await admitted(task, work);
      const id = inboxIdOf(task);
      // The inbox would call both fresh.
      if (ids.has(id)) throw new Error('The batch has this event already');
      ids.add(id);
      good.push({ task, event });
    } catch (error) {
      if (routed(error, policy.routes).kind === 'unavailable') throw error;
      apart.push(task);
      if (key !== null) keysApart.add(key);
    }
  }
  return { good, apart };
}
