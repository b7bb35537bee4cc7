/** An end to handlers that have none: aborted, their transaction gone, the attempt failed. */
import type pg from 'pg';
import { HandlerDeadlineError, UnavailableError } from '../errors.ts';
import type { Attempt, BatchAttempt, OnceBatch, Work } from '../task.ts';

/** Handlers of a group that were given up and run on all the same. */
export type Abandoned = {
  /** Throws UnavailableError when there are so many that no other may begin. */
  enter(): void;
  /** One is given up; it counts until it ends, if ever. */
  add(handling: Promise<unknown>): void;
};

/** @param show told how many there are, each time it changes */
export function createAbandoned(most: number, show: (count: number) => void): Abandoned {
  let count = 0;
  const change = (by: number) => {
    count += by;
    show(count);
  };
  return {
    enter() {
      // Each keeps its event, and whatever it holds: there is no end to it but this.
      if (count >= most) throw new UnavailableError(`${count} handlers that were given up still run`);
    },
    add(handling) {
      change(1);
      const ended = () => change(-1);
      handling.then(ended, ended);
    },
  };
}

/** Each call of a handler, of one record or a batch, ends within the deadline. Only an endless loop does not: nothing runs beside it. */
export function withDeadline<E>(work: Work<E>, deadlineMs: number, abandoned: Abandoned): Work<E> {
  const { admit, identityOf, one, many } = work;
  return {
    admit,
    identityOf,
    async one(event, attempt) {
      abandoned.enter();
      const limit = startLimit(deadlineMs, attempt.signal, abandoned);
      const once: Attempt['once'] = (effect) => attempt.once(limit.bound(effect));
      const onceBatch: OnceBatch = (effect) => attempt.onceBatch(limit.bound(effect));
      return limit.race(one(event, { ...attempt, signal: limit.signal, once, onceBatch }));
    },
    many:
      many &&
      (async (events, attempt: BatchAttempt) => {
        abandoned.enter();
        const limit = startLimit(deadlineMs, attempt.signal, abandoned);
        const once: OnceBatch = (effect) => attempt.once(limit.bound(effect));
        return limit.race(many(events, { ...attempt, signal: limit.signal, once }));
      }),
  };
}

function startLimit(deadlineMs: number, outer: AbortSignal, abandoned: Abandoned) {
  const aborter = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  // Heard only while somebody waits for it.
  late.catch(() => {});
  const clients = new Set<pg.PoolClient>();
  const onOuter = () => aborter.abort(outer.reason);
  if (outer.aborted) onOuter();
  else outer.addEventListener('abort', onOuter);

  let tooLate: HandlerDeadlineError | undefined;
  const timer = setTimeout(() => {
    const error = new HandlerDeadlineError(deadlineMs);
    tooLate = error;
    aborter.abort(error);
    // Before the effect is said to have failed: the handler must not write into a connection that is another's by then.
    for (const client of clients) void destroy(client);
    reject(error);
  }, deadlineMs);

  return {
    signal: aborter.signal,
    bound:
      <F extends unknown[], T>(effect: (client: pg.PoolClient, ...rest: F) => Promise<T>) =>
      async (client: pg.PoolClient, ...rest: F): Promise<T> => {
        if (tooLate !== undefined) throw tooLate;
        clients.add(client);
        try {
          return await Promise.race([effect(client, ...rest), late]);
        } finally {
          clients.delete(client);
        }
      },
    async race<T>(handling: Promise<T>): Promise<T> {
      try {
        return await Promise.race([handling, late]);
      } catch (error) {
        if (error === tooLate) abandoned.add(handling);
        throw error;
      } finally {
        clearTimeout(timer);
        outer.removeEventListener('abort', onOuter);
      }
    },
  };
}

/** Ends the connection, and with it its transaction, whatever it is doing; the pool then drops it. */
async function destroy(client: pg.PoolClient): Promise<void> {
  // pg's type leaves out what every client of a pool has.
  const { end } = client as unknown as { end?: () => Promise<void> };
  await end?.call(client).catch(() => {});
}
