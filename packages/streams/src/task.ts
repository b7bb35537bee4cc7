/** One record on its way through a partition, and what is done with it. */
import type pg from 'pg';
import { PermanentError } from './errors.ts';
import type { ConsumedRecord } from './record.ts';

/**
 * Runs the effect in a transaction in which the record becomes handled; undefined when it was handled before.
 *
 * The transaction opens here, so whatever is asked of others comes before it. At most once an attempt.
 */
export type Once = <T>(effect: (client: pg.PoolClient) => Promise<T>) => Promise<T | undefined>;

/** The same for all records of a batch; `fresh` holds the event ids of those that were not handled before. */
export type OnceBatch = <T>(
  effect: (client: pg.PoolClient, fresh: ReadonlySet<string>) => Promise<T>,
) => Promise<T>;

/** @property attempt from 1 */
export type Attempt = { signal: AbortSignal; attempt: number; once: Once };

export type BatchAttempt = { signal: AbortSignal; attempt: number; once: OnceBatch };

/** The one transaction of an attempt, in either form. */
export type Claim = {
  once: Once;
  onceBatch: OnceBatch;
  /** After the handler has resolved: claims what it has not claimed by itself, and throws what it has swallowed. */
  settle(): Promise<void>;
};

/** Whose event it is, and the id under which the group remembers it. */
export type Identity = { event_id: string; tenant_id: string };

/** What is done with records; E is what a record means. All may throw; `many` takes effect as a whole or not at all. */
export type Work<E> = {
  admit(record: ConsumedRecord): E | Promise<E>;
  /** undefined for raw bytes, which say nothing that is believed. */
  identityOf(event: E): Identity | undefined;
  one(event: E, attempt: Attempt & { onceBatch: OnceBatch }): Promise<string>;
  many: ((events: readonly E[], attempt: BatchAttempt) => Promise<readonly string[]>) | undefined;
};

/** A record on its way, as the dead letter and the reports see it. */
export type Task<E> = {
  record: ConsumedRecord;
  event: E | undefined;
  identity: Identity | undefined;
  attempt: number;
  /** Conflicts with other transactions during this attempt, after which it was tried again in place. */
  conflicts: number;
  /** Milliseconds: since when this attempt is due, and when the first one failed. */
  notBefore: number;
  firstFailedAt: number | undefined;
  inLane: boolean;
};

export function newTask<E>(record: ConsumedRecord, now: number): Task<E> {
  return {
    record,
    event: undefined,
    identity: undefined,
    attempt: 1,
    conflicts: 0,
    notBefore: now,
    firstFailedAt: undefined,
    inLane: false,
  };
}

// What an index of Postgres takes with room to spare; ids of ours are UUIDs.
const idLengthMax = 200;

/**
 * Reads what the record means, once; its identity is known from then on.
 *
 * Throws what `admit` throws, and PermanentError `event_id_invalid` for an id that the inbox could not keep.
 */
export async function admitted<E>(task: Task<E>, work: Work<E>): Promise<E> {
  const event = task.event ?? work.admit(task.record);
  task.event = event instanceof Promise ? await event : event;
  const identity = work.identityOf(task.event);
  for (const id of identity === undefined ? [] : [identity.event_id, identity.tenant_id]) {
    if (id.length > idLengthMax || id.includes('\0') || !id.isWellFormed())
      throw new PermanentError('event_id_invalid', 'An id of the event is too long, or no text');
  }
  task.identity = identity;
  return task.event;
}

export function keyOf<E>({ record }: Task<E>): string | null {
  // latin1 keeps different bytes different, which UTF-8 would not.
  return record.key === null ? null : record.key.toString('latin1');
}

/** Under which id the inbox knows it: an event by its own, anything else by its address. */
export function inboxIdOf<E>({ record, identity }: Task<E>): string {
  return identity?.event_id ?? `at:${record.topic}/${record.partition}/${record.offset}`;
}

export function sizeOf({ key, value }: ConsumedRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0);
}
