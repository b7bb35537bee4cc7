/**
 * The records of a partition that are handled many at a time: all of a batch in one transaction, and when that fails,
 * each half by itself, one after the other, down to the single record, which goes to its key's lane.
 */
import type { Logger } from '@ragline/runtime/logger';
import { type RetryPolicy, routed } from './after-failure.ts';
import type { Aside } from './aside.ts';
import { takeBatch } from './batch.ts';
import type { Task, Work } from './task.ts';

export type BatchesOptions<E> = {
  topic: string;
  partition: number;
  order: 'by-key' | 'none';
  work: Work<E>;
  aside: Pick<Aside<E>, 'claim'>;
  policy: RetryPolicy;
  /** Records a batch, at most. */
  batchMax: number;
  /** Aborted when the work is not wanted any more. */
  signal: AbortSignal;
  log: Logger;
  /** Whether more may be begun at present. */
  goesOn(): boolean;
  /** Whether the record must queue behind another of its key. */
  isBehind(task: Task<E>): boolean;
  toLane(task: Task<E>): void;
  finish(task: Task<E>, outcome: string): void;
  /** Whether nobody wants to know of the failure any more. */
  isOver(error: unknown): boolean;
  /** Something is away. */
  pause(error: unknown): void;
};

type Good<E> = { task: Task<E>; event: E };

export function createBatches<E>(options: BatchesOptions<E>) {
  const { topic, partition, work, aside, policy, signal, log, isBehind, isOver } = options;
  let queue: Task<E>[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    // In the order of their offsets; what is left when the batch is given up begins the next one.
    const open = new Set(nextBatch());
    const toLane = (task: Task<E>) => {
      open.delete(task);
      options.toLane(task);
    };
    const finish = (task: Task<E>, outcome: string) => {
      open.delete(task);
      options.finish(task, outcome);
    };
    try {
      const { good, apart } = await takeBatch([...open], options);
      await runHalves(good, toLane, finish);
      if (!options.goesOn()) return;
      // Only now: in its lane a record could run beside one of its key that is before it, in the batch.
      for (const task of apart) toLane(task);
    } catch (error) {
      if (!isOver(error)) options.pause(error);
    } finally {
      queue = [...open, ...queue];
      isRunning = false;
    }
  }

  /** Throws when something is away, or nobody wants it any more. */
  async function runHalves(
    good: Good<E>[],
    toLane: (task: Task<E>) => void,
    finish: (task: Task<E>, outcome: string) => void,
  ): Promise<void> {
    const parts = [good];
    for (let part = parts.shift(); part !== undefined && options.goesOn(); part = parts.shift()) {
      for (const { task } of part) if (isBehind(task)) toLane(task);
      const rest = part.filter(({ task }) => !task.inLane);
      // Which one it is that fails is known when it is alone; then it is tried in its lane.
      const [first] = rest;
      if (first !== undefined && rest.length === 1 && good.length > 1) toLane(first.task);
      else if (first !== undefined) {
        try {
          const outcomes = await runTogether(rest);
          for (const [at, { task }] of rest.entries()) finish(task, outcomes[at] ?? 'handled');
        } catch (error) {
          if (signal.aborted || isOver(error) || routed(error, policy.routes).kind === 'unavailable')
            throw error;
          if (part === good) log.info('batch failed', { topic, partition, records: rest.length, error });
          if (rest.length === 1) toLane(first.task);
          const half = Math.ceil(rest.length / 2);
          if (rest.length > 1) parts.unshift(rest.slice(0, half), rest.slice(half));
        }
      }
    }
  }

  async function runTogether(part: readonly Good<E>[]): Promise<readonly string[]> {
    const claim = aside.claim(part.map(({ task }) => task));
    const events = part.map(({ event }) => event);
    const outcomes = await work.many?.(events, { signal, attempt: 1, once: claim.onceBatch });
    await claim.settle();
    return outcomes ?? [];
  }

  function nextBatch(): Task<E>[] {
    const batch: Task<E>[] = [];
    let taken = 0;
    while (batch.length < options.batchMax) {
      const task = queue[taken];
      if (task === undefined) break;
      taken += 1;
      if (isBehind(task)) options.toLane(task);
      else batch.push(task);
    }
    queue = queue.slice(taken);
    return batch;
  }

  return {
    add: (task: Task<E>): void => void queue.push(task),
    /** Whether a batch may begin. */
    ready: (): boolean => queue.length > 0 && !isRunning,
    /** Runs one batch; throws nothing. */
    run,
  };
}
