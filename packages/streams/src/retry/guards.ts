/** Work inside what watches over it: failures on demand, the flood guard, the time that it takes. */

import { type Routes, routed } from '../after-failure.ts';
import { UnavailableError } from '../errors.ts';
import { failpoint, failpointHeader } from '../failpoint.ts';
import { type ConsumedRecord, textHeaders } from '../record.ts';
import type { Task, Work } from '../task.ts';
import { crashedCode } from './crashes.ts';
import type { FloodGuard } from './flood-guard.ts';
import { originalOf } from './origin.ts';

/** Of an event and of raw bytes alike. */
export type Addressed = Pick<ConsumedRecord, 'topic' | 'partition' | 'offset' | 'headers' | 'timestamp'>;

export function withFailpoints<E extends Addressed>({ admit, identityOf, one, many }: Work<E>): Work<E> {
  return {
    admit,
    identityOf,
    async one(event, attempt) {
      await failpoint(event, attempt.attempt);
      return one(event, attempt);
    },
    many:
      many &&
      (async (events, attempt) => {
        if (events.some(({ headers }) => failpointHeader in headers)) {
          throw new Error('Failpoint: each record is handled by itself');
        }
        return many(events, attempt);
      }),
  };
}

/** Stands before each attempt of a partition's lanes; attempts at what waits aside pass it by. */
export type FloodGate<E> = {
  /** Throws UnavailableError while the group is shut, unless the record may probe. */
  enter(task: Task<E>): void;
  /** The attempt took effect. */
  worked(task: Task<E>): void;
  /** What a failure is to be dealt with as: itself, or, while the group is shut, something being away. */
  judge(task: Task<E>, error: unknown): unknown;
  isShut(): boolean;
};

/** @param place the partition, among those of the group */
export function createFloodGate<E>(guard: FloodGuard, routes: Routes, place: string): FloodGate<E> {
  let probe: Task<E> | undefined;

  const refusal = (cause?: unknown) =>
    new UnavailableError('Most of what the group tried has failed: it waits', { cause });

  return {
    enter(task) {
      if (!guard.isShut()) return;
      if (!guard.probes(place)) throw refusal();
      probe = task;
    },
    worked(task) {
      if (probe === task) {
        probe = undefined;
        guard.open();
      }
      guard.worked();
    },
    judge(task, error) {
      const isProbe = probe === task;
      if (isProbe) probe = undefined;
      if (isOfPlace(error)) return error;
      const failure = routed(error, routes);
      // Only what would be booked says anything about the records; and what ends the process is never tried again.
      if (failure.kind === 'unavailable' || failure.kind === 'conflict') return error;
      if (failure.code === crashedCode) return error;
      // A probe that fails is booked, so that the next one is another record.
      if (isProbe && guard.isShut()) return error;
      return guard.failed(tenantOf(task)) ? refusal(error) : error;
    },
    isShut: guard.isShut,
  };
}

/** Batches count with all their records; while shut each record is tried by itself. */
export function withFloodGuard<E>(work: Work<E>, guard: FloodGuard): Work<E> {
  const { many } = work;
  return {
    ...work,
    many:
      many &&
      (async (events, attempt) => {
        if (guard.isShut()) throw new Error('The group waits: each record is handled by itself');
        const outcomes = await many(events, attempt);
        guard.worked(events.length);
        return outcomes;
      }),
  };
}

// What could not be read says whose it is in a header, if anywhere; for a count that is good enough.
const tenantOf = <E>({ identity, record }: Task<E>): string =>
  identity?.tenant_id ?? textHeaders(record.headers).tenant_id ?? '';

// What a place aside says of the record's whereabouts is no failure of its handling.
const isOfPlace = (error: unknown) => error instanceof Error && /^(Fenced|Moved|Ended)$/.test(error.name);

/** @param observe told of each call's seconds, whatever came of it */
export function withTiming<E>(work: Work<E>, observe: (seconds: number) => void): Work<E> {
  const { admit, identityOf, one, many } = work;
  const timed = async <T>(handling: Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    try {
      return await handling;
    } finally {
      observe((performance.now() - startedAt) / 1_000);
    }
  };
  return {
    admit,
    identityOf,
    one: (event, attempt) => timed(one(event, attempt)),
    many: many && ((events, attempt) => timed(many(events, attempt))),
  };
}

/** The same for records that come back: the handler sees each as it was first met, and no batch. */
export function ofReturned<E extends object>(
  work: Work<E>,
  offsets: WeakMap<E, bigint>,
  onDispatch: (record: ConsumedRecord) => void,
): Work<E> {
  const noted = (event: E, { offset }: ConsumedRecord) => {
    offsets.set(event, BigInt(offset));
    return event;
  };
  return {
    ...work,
    admit(record) {
      onDispatch(record);
      const event = work.admit(originalOf(record));
      return event instanceof Promise ? event.then((it) => noted(it, record)) : noted(event, record);
    },
    many: undefined,
  };
}
