/** The seam between a partition's lanes and the place where records that failed are put aside. */
import type { NextStep } from './after-failure.ts';
import type { Claim, Task } from './task.ts';

/** A decision that takes a record out of its lane. */
export type PutAside = Extract<NextStep, { kind: 'retry' | 'dead-letter' }>;

export type Appended = 'kept' | 'gone' | 'full';

/**
 * by-key: lines in Postgres (parking/owner.ts). none: topics (retry/tiers.ts).
 *
 * Any of it may throw: an error named Fenced means that the partition has another owner, and everything of this
 * assignment stops; after any other the same call is repeated.
 */
export type Aside<E> = {
  /** Before the partition's first record is looked at. */
  open(): Promise<void>;
  /** Once it is open, and all that watches over attempts: starts those that it makes by itself. */
  begin?(): void;
  /** Whether records of its key wait aside, so that it must queue behind them. No query. */
  waits(task: Task<E>): boolean;
  /**
   * Queues records of one key that waits, in their order, in one step. gone: nothing of it waits any more. full: there
   * is no room at present, for that one and for those behind it.
   */
  append(tasks: readonly Task<E>[]): Promise<readonly Appended[]>;
  /**
   * Puts a record aside that failed; the outcome's label. Resolves when that is stored, or with undefined when there is
   * no room at present.
   */
  setAside(task: Task<E>, step: PutAside, error: unknown): Promise<string | undefined>;
  /** The transactions of one attempt, in which these records become handled. */
  claim(tasks: readonly Task<E>[]): Claim;
  /** Begins nothing more by itself. */
  end?(): void;
  /** Tells the handlers that it runs by itself that their work is not wanted any more. */
  abort?(): void;
  /** After `end`, and when no lane runs; resolves when nothing runs here either. */
  close(): Promise<void>;
};
