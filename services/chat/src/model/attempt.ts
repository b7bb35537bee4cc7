/** One try at one endpoint: through its breaker, under deadlines, closed when nobody waits any longer. */
import type { Breaker } from '@ragline/runtime/breaker';
import type { Endpoint, Piece } from './endpoint.ts';
import { LateError } from './failures.ts';
import type { ModelRequest } from './model.ts';

/** What a breaker around a streamed answer is fired with: the answer's whole life. */
export type StreamBreaker = Breaker<[life: () => Promise<void>], void>;

export type Deadlines = { firstTokenMs: number; stallMs: number };

// The last chunk, with the usage, comes at once or, from some endpoints, never.
const usageWaitMs = 1_000;

/**
 * The pieces of an answer. Throws BreakerError, LateError, what the client throws, or the signal's reason.
 *
 * The breaker hears of the whole answer, since one that stalls counts against its endpoint like one that never
 * began; only a probe is over with its first token, so that others need not wait for its last.
 */
export async function* attempt(
  breaker: StreamBreaker,
  endpoint: Endpoint,
  request: ModelRequest,
  deadlines: Deadlines,
): AsyncGenerator<Piece, void> {
  const admitted = Promise.withResolvers<void>();
  const life = Promise.withResolvers<void>();
  const begin = () => {
    admitted.resolve();
    return life.promise;
  };
  breaker.fire(begin).catch((error: unknown) => admitted.reject(error));
  await admitted.promise;
  const isProbe = breaker.state() === 'half_open';
  try {
    for await (const piece of inTime(endpoint, request, deadlines)) {
      if (isProbe) life.resolve();
      yield piece;
    }
  } catch (error) {
    // Who stops an answer says nothing against the endpoint; but a probe that got none has not proved it well.
    if (isProbe || !request.signal.aborted) life.reject(error);
    throw error;
  } finally {
    life.resolve();
  }
}

async function* inTime(
  endpoint: Endpoint,
  request: ModelRequest,
  { firstTokenMs, stallMs }: Deadlines,
): AsyncGenerator<Piece, void> {
  const closing = new AbortController();
  const pieces = endpoint.pieces(request, AbortSignal.any([request.signal, closing.signal]));
  let state: 'silent' | 'begun' | 'finished' = 'silent';
  const waitMs = { silent: firstTokenMs, begun: stallMs, finished: usageWaitMs };
  try {
    for (;;) {
      const next: IteratorResult<Piece, void> | 'late' = await within(
        pieces.next(),
        waitMs[state],
        request.signal,
      ).catch((error: unknown) => {
        // The answer is whole; only its usage is lost with the connection.
        if (state === 'finished' && !request.signal.aborted) return 'late' as const;
        throw error;
      });
      if (next === 'late') {
        if (state === 'finished') return;
        throw new LateError(state === 'begun');
      }
      if (next.done) return;
      if (state !== 'finished') state = next.value.kind === 'finish' ? 'finished' : 'begun';
      yield next.value;
    }
  } finally {
    // Closes the connection; after a whole answer there is nothing left to close.
    closing.abort();
  }
}

/** Throws the signal's reason as soon as it is aborted, whatever the work does. */
async function within<T>(work: Promise<T>, ms: number, signal: AbortSignal): Promise<T | 'late'> {
  const late = Promise.withResolvers<'late'>();
  const aborted = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.resolve('late'), ms);
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([aborted.promise, work, late.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
