/** One record on its way through a partition, and what is done with it. */
import type { ConsumedRecord } from './record.ts';

export type Attempt = { signal: AbortSignal; attempt: number };

/** What is done with records; E is what a record means. All may throw; `many` takes effect as a whole or not at all. */
export type Work<E> = {
  admit(record: ConsumedRecord): E | Promise<E>;
  one(event: E, attempt: Attempt): Promise<string>;
  many: ((events: readonly E[], attempt: Attempt) => Promise<readonly string[]>) | undefined;
};

/** A record on its way, as the dead letter and the reports see it. */
export type Task<E> = {
  record: ConsumedRecord;
  event: E | undefined;
  attempt: number;
  /** Milliseconds: since when this attempt is due, and when the first one failed. */
  notBefore: number;
  firstFailedAt: number | undefined;
  doom: { errorCode: string; error: unknown; failedAt: number } | undefined;
  inLane: boolean;
};

export function newTask<E>(record: ConsumedRecord, now: number): Task<E> {
  return {
    record,
    event: undefined,
    attempt: 1,
    notBefore: now,
    firstFailedAt: undefined,
    doom: undefined,
    inLane: false,
  };
}

export function keyOf<E>({ record }: Task<E>): string | null {
  // latin1 keeps different bytes different, which UTF-8 would not.
  return record.key === null ? null : record.key.toString('latin1');
}

export function sizeOf({ key, value }: ConsumedRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0);
}
