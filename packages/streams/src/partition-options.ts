/** What a partition's run is given. */
import type { Logger } from '@ragline/runtime/logger';
import type { RetryPolicy } from './after-failure.ts';
import type { Aside } from './aside.ts';
import type { Clock } from './clock.ts';
import type { NotFetching } from './fetching.ts';
import type { ConsumedRecord } from './record.ts';
import type { FloodGate } from './retry/guards.ts';
import type { Slots } from './slots.ts';
import type { Task, Work } from './task.ts';

export type PartitionOptions<E> = {
  topic: string;
  partition: number;
  order: 'by-key' | 'none';
  work: Work<E>;
  slots: Slots;
  /** Where records wait that have failed. */
  aside: Aside<E>;
  policy: RetryPolicy;
  /** Told once for each task that is finished here; what is put aside may be finished again later. */
  onFinished(task: Task<E>, outcome: string): void;
  /** Whether more records are wanted; called when it changes. */
  onFetching(wanted: boolean, reason: NotFetching | undefined): void;
  /** Another owner has the partition, as the lease says; this run has ended by itself. */
  onFenced(): void;
  log: Logger;
  /** 0 ≤ random() < 1. */
  random: () => number;
  batchMax: number;
  clock?: Clock;
  /** How a record begins; a first attempt that is due now, unless another is given. */
  taskOf?: (record: ConsumedRecord, now: number) => Task<E>;
  /** Asked before each attempt here, and what its failure means. */
  flood?: FloodGate<E> | undefined;
};
