/** The life of a process: what is started is owned, and stops in reverse. */
import type { Logger } from './logger.ts';

/** Takes over a thing that was started; `stop` is called with it when the service ends. */
export type Own = <T>(thing: T, stop: (thing: T) => unknown) => T;

export type RunServiceOptions = {
  log: Logger;
  /** After this long what still stops is abandoned, and the process exits with 1. */
  stopWithinMs: number;
};

/**
 * Builds a service and keeps it until SIGTERM or SIGINT; a second signal ends it at once.
 *
 * The last thing owned is the first to stop. When `build` throws, what had started is stopped and the process
 * exits with 1; so it does after an unhandled error, since nobody knows then what still holds.
 * Resolves once the service has started.
 */
export async function runService(
  { log, stopWithinMs }: RunServiceOptions,
  build: (own: Own) => Promise<void>,
): Promise<void> {
  const owned: (() => unknown)[] = [];
  let ending: Promise<never> | undefined;

  const own: Own = (thing, stop) => {
    owned.push(() => stop(thing));
    // A signal came while this was starting: nobody would stop it any more.
    if (ending !== undefined) throw new Error('The service was told to stop while it started');
    return thing;
  };

  const end = (exitCode: number): Promise<never> => {
    ending ??= stopAll(owned, log, stopWithinMs).then((stopped) => {
      const code = stopped ? exitCode : 1;
      log.info('service stopped', { exit_code: code });
      return process.exit(code);
    });
    return ending;
  };

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending !== undefined) process.exit(1);
      log.info('service stopping', { signal });
      void end(0);
    });
  }
  for (const kind of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(kind, (error) => {
      log.error('unhandled error', {
        kind,
        error: error instanceof Error ? error : new Error(String(error)),
      });
      void end(1);
    });
  }

  try {
    await build(own);
  } catch (error) {
    if (ending === undefined) log.error('service did not start', { error });
    return end(1);
  }
  if (ending !== undefined) return ending;
  log.info('service started', { pid: process.pid });
}

/** Stops from the last to the first; false when something failed to stop, or took too long. */
async function stopAll(owned: (() => unknown)[], log: Logger, withinMs: number): Promise<boolean> {
  const { promise: tooLate, resolve } = Promise.withResolvers<'too late'>();
  const timer = setTimeout(() => resolve('too late'), withinMs);
  let isClean = true;
  try {
    for (let stop = owned.pop(); stop !== undefined; stop = owned.pop()) {
      try {
        if ((await Promise.race([stop(), tooLate])) === 'too late') {
          log.error('stopping took too long', { within_ms: withinMs, left: owned.length });
          return false;
        }
      } catch (error) {
        isClean = false;
        log.error('stopping failed', { error });
      }
    }
    return isClean;
  } finally {
    clearTimeout(timer);
  }
}
