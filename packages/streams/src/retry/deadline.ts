/** An end to handlers that have none: aborted, their transaction gone, the attempt failed. */
import type pg from 'pg';
import { HandlerDeadlineError } from '../errors.ts';
import type { Attempt, BatchAttempt, OnceBatch, Work } from '../task.ts';

/** Each call of a handler, of one record or a batch, ends within the deadline. Only an endless loop does not: nothing runs beside it. */
export function withDeadline<E>(work: Work<E>, deadlineMs: number): Work<E> {
  const { admit, identityOf, one, many } = work;
  return {
    admit,
    identityOf,
    async one(event, attempt) {
      const limit = startLimit(deadlineMs, attempt.signal);
      const once: Attempt['once'] = (effect) => attempt.once(limit.bound(effect));
      const onceBatch: OnceBatch = (effect) => attempt.onceBatch(limit.bound(effect));
      return limit.race(one(event, { ...attempt, signal: limit.signal, once, onceBatch }));
    },
    many:
      many &&
      (async (events, attempt: BatchAttempt) => {
        const limit = startLimit(deadlineMs, attempt.signal);
        const once: OnceBatch = (effect) => attempt.once(limit.bound(effect));
        return limit.race(many(events, { ...attempt, signal: limit.signal, once }));
      }),
  };
}

function startLimit(deadlineMs: number, outer: AbortSignal) {
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
