/** The turns that run in this process, and what cuts them short: a stop, a deadline, another worker, our own end. */
import type { Logger } from '@ragline/runtime/logger';
import { type Cut, CutError } from '../domain.ts';
import type { TurnStore } from './store.ts';

export type Run = {
  /** Aborted, with a CutError, when the turn is cut short. */
  signal: AbortSignal;
  /** Aborted when nothing more is to be told of it: at once where another goes on, some time after the deadline. */
  telling: AbortSignal;
  /** Under which generation it was claimed. */
  began(generation: number): void;
  end(): void;
};

export type Running = ReturnType<typeof createRunning>;

// What is left for telling how it ended, after the deadline.
const tellMs = 15_000;

export function createRunning({ deadlineMs }: { deadlineMs: number }) {
  const runs = new Map<string, Set<{ generation: number; cut(cut: Cut): void }>>();

  function cut(turnId: string, why: Cut, below = Number.POSITIVE_INFINITY): void {
    for (const run of runs.get(turnId) ?? []) if (run.generation < below) run.cut(why);
  }

  return {
    /** @param outer of the assignment: after it the turn is another's */
    begin(turnId: string, outer: AbortSignal): Run {
      const aborter = new AbortController();
      const silencer = new AbortController();
      const run = {
        generation: 0,
        cut(why: Cut) {
          aborter.abort(new CutError(why));
          if (why === 'handover' || why === 'superseded') silencer.abort();
        },
      };
      const onOuter = () => run.cut('handover');
      if (outer.aborted) onOuter();
      else outer.addEventListener('abort', onOuter);
      const timers = [
        setTimeout(() => run.cut('deadline'), deadlineMs),
        setTimeout(() => silencer.abort(), deadlineMs + tellMs),
      ];
      const same = runs.get(turnId) ?? new Set();
      runs.set(turnId, same.add(run));
      return {
        signal: aborter.signal,
        telling: silencer.signal,
        began(generation) {
          run.generation = generation;
        },
        end() {
          for (const timer of timers) clearTimeout(timer);
          outer.removeEventListener('abort', onOuter);
          same.delete(run);
          if (same.size === 0 && runs.get(turnId) === same) runs.delete(turnId);
        },
      };
    },
    /** Its reader asked for it; nothing happens when the turn does not run here. */
    stop: (turnId: string): void => cut(turnId, 'stop'),
    /** A younger worker has it. */
    superseded: (turnId: string, generation: number): void => cut(turnId, 'superseded', generation),
    count: (): number => runs.size,
    ids: (): string[] => [...runs.keys()],
  };
}

const watchMs = 1_000;

/**
 * Looks once a second how the turns stand that run here. The net below the tail: a stop whose record it has not seen
 * ends a turn all the same, and a worker that was frozen learns that another has its turn.
 */
export function startWatch(parts: {
  running: Running;
  store: Pick<TurnStore, 'watch'>;
  log: Logger;
  everyMs?: number;
}) {
  const { running, store, log, everyMs = watchMs } = parts;
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    const ids = running.ids();
    if (ids.length === 0) return;
    try {
      for (const { id, generation, isStopWanted } of await store.watch(ids)) {
        running.superseded(id, generation);
        if (isStopWanted) running.stop(id);
      }
    } catch (error) {
      log.debug('running turns could not be looked at', { error });
    }
  }

  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await looking;
    },
  };
}

/** What the promise gives, or the signal's reason as soon as it is aborted; what goes on is nobody's business then. */
export async function orCut<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: cut, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, cut]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
