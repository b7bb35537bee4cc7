/** Work inside what watches over it: failures on demand, the flood guard, the time that it takes. */

import { type Routes, routed } from '../after-failure.ts';
import { UnavailableError } from '../errors.ts';
import { failpoint, failpointHeader } from '../failpoint.ts';
import type { ConsumedRecord } from '../record.ts';
import type { Work } from '../task.ts';
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

/** While the guard is shut, whatever would fail waits in its place, and costs no attempt. */
export function withFloodGuard<E>(work: Work<E>, guard: FloodGuard, routes: Routes): Work<E> {
  const { identityOf, one, many } = work;

  function enter(): void {
    if (!guard.admits()) throw new UnavailableError('Most of what the group tried has failed: it waits');
  }

  /** What is to be thrown in place of the error. */
  function judged(error: unknown): unknown {
    if (isOfPlace(error)) return error;
    const { kind } = routed(error, routes);
    if (kind === 'unavailable' || kind === 'conflict' || !guard.failed()) return error;
    return new UnavailableError('Most of what the group tried has failed: it waits', { cause: error });
  }

  return {
    identityOf,
    admit(record) {
      try {
        const event = work.admit(record);
        if (!(event instanceof Promise)) return event;
        return event.catch((error: unknown) => {
          throw judged(error);
        });
      } catch (error) {
        throw judged(error);
      }
    },
    async one(event, attempt) {
      enter();
      try {
        const outcome = await one(event, attempt);
        guard.worked();
        return outcome;
      } catch (error) {
        throw attempt.signal.aborted ? error : judged(error);
      }
    },
    many:
      many &&
      (async (events, attempt) => {
        enter();
        const outcomes = await many(events, attempt);
        guard.worked(events.length);
        return outcomes;
      }),
  };
}

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
