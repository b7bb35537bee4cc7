/**
 * Runs child processes and keeps them running: a process that dies is started again with a growing wait, one
 * whose health check fails for too long is killed and started again, and no death touches another process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines, StartFailure } from './failure.ts';
import { openLog, trimLog } from './process-log.ts';
import { isAlive, stackMark } from './processes.ts';

export type Command = {
  file: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
};

export type ProcessDefinition = {
  name: string;
  /** Asked before each start, so that a restart may use other settings. */
  command: () => Command | Promise<Command>;
  /** Throws while the process cannot be used yet; a StartFailure when waiting will not help. */
  ready: () => Promise<void>;
  readyWithinMs: number;
  /** Throws when a running process must be taken for hung; without it only its death counts. */
  healthy?: (signal: AbortSignal) => Promise<void>;
  stopSignal?: NodeJS.Signals;
  stopWithinMs?: number;
  logFile: string;
  /** One command for the person whose start fails here. */
  mend?: string;
};

export type ProcessState = 'starting' | 'ready' | 'waiting' | 'stopped';

export type SupervisedProcess = {
  name: string;
  logFile: string;
  pid(): number | undefined;
  state(): ProcessState;
  restarts(): number;
  /** Sends a signal as an outsider would: the supervisor then does what it does after any death. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the process is ready, now or after restarts. */
  untilReady(withinMs: number): Promise<void>;
  stop(): Promise<void>;
};

export type SupervisorEvent =
  | { kind: 'started' | 'ready' | 'stopped'; name: string; pid: number }
  | {
      kind: 'died';
      name: string;
      pid: number;
      code: number | null;
      signal: string | null;
      restartInMs: number;
    }
  | { kind: 'unhealthy'; name: string; pid: number; reason: string }
  | { kind: 'not_ready'; name: string; reason: string }
  | { kind: 'connector_restarted' };

export type SupervisorOptions = {
  /** Marks each process, see processes.ts. */
  dataDir: string;
  onEvent?: (event: SupervisorEvent) => void;
  /** A process that fails its health check for this long is killed and started again; 0 switches that off. */
  unhealthyRestartMs?: number;
  healthEveryMs?: number;
  /** Ends the first start. */
  signal?: AbortSignal;
};

const usualHealthEveryMs = 2_000;
// Of one look.
const healthWithinMs = 2_000;
const steadyAfterMs = 60_000;
const trimEveryMs = 60_000;

/** The wait before restart number `restart` (from 0) in a row: 0.2 s, doubling, 15 s at most. */
export function restartDelayMs(restart: number): number {
  return Math.min(15_000, 200 * 2 ** Math.min(restart, 10));
}

/**
 * Starts a process and resolves when it is ready for the first time. Throws StartFailure when it dies or is not
 * ready in time; it is then stopped and not started again.
 */
export async function supervise(
  definition: ProcessDefinition,
  options: SupervisorOptions,
): Promise<SupervisedProcess> {
  const { dataDir, onEvent = () => {}, unhealthyRestartMs = 15_000, signal } = options;
  const { healthEveryMs = usualHealthEveryMs } = options;
  const { name, logFile, stopSignal = 'SIGTERM', stopWithinMs = 10_000 } = definition;
  let child: ChildProcess | undefined;
  let state: ProcessState = 'starting';
  let stopping = false;
  let everReady = false;
  let inARow = 0;
  let restarts = 0;
  const stopped = new AbortController();
  const trimming = setInterval(() => trimLog(logFile), trimEveryMs).unref();

  async function launch(): Promise<void> {
    state = 'starting';
    const command = await definition.command();
    if (stopping) return;
    const log = openLog(logFile);
    try {
      child = spawn(command.file, command.args, {
        cwd: command.cwd,
        env: { ...(command.env ?? process.env), [stackMark]: dataDir },
        uid: command.uid,
        gid: command.gid,
        stdio: ['ignore', log, log],
        // A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which stops all in order.
        detached: true,
      });
    } finally {
      closeSync(log);
    }
    const started = child;
    const exit = exitOf(started);
    if (started.pid !== undefined) onEvent({ kind: 'started', name, pid: started.pid });
    await becomeReady(started, exit);
    const readyAt = performance.now();
    state = 'ready';
    everReady = true;
    onEvent({ kind: 'ready', name, pid: started.pid ?? 0 });
    const watch = new AbortController();
    if (definition.healthy && unhealthyRestartMs > 0)
      void watchHealth(started, definition.healthy, watch.signal);
    void exit.then(({ code, signal }) => {
      watch.abort();
      if (stopping) return;
      if (performance.now() - readyAt > steadyAfterMs) inARow = 0;
      onEvent({
        kind: 'died',
        name,
        pid: started.pid ?? 0,
        code,
        signal,
        restartInMs: restartDelayMs(inARow),
      });
      void keepTrying();
    });
  }

  async function becomeReady(started: ChildProcess, exit: Promise<Exit>): Promise<void> {
    let ended: Exit | undefined;
    void exit.then((it) => {
      ended = it;
    });
    const deadline = performance.now() + definition.readyWithinMs;
    for (;;) {
      if (ended) throw failure(`${name} ended before it was ready (${causeOfEnd(ended)})`, ended.error);
      if (stopping) throw failure(`${name} was stopped before it was ready`);
      let reason: unknown;
      try {
        await answers();
        // Somebody else may have answered on the port of a process that has just died.
        if (!ended) return;
      } catch (error) {
        reason = error;
      }
      if (reason instanceof StartFailure) {
        started.kill('SIGKILL');
        await exit;
        throw reason;
      }
      if (performance.now() > deadline) {
        started.kill('SIGKILL');
        await exit;
        throw failure(
          `${name} did not become ready in ${definition.readyWithinMs / 1000} s: ${messageOf(reason)}`,
          reason,
        );
      }
      await sleep(100);
    }
  }

  /**
   * The first start waits until the process can serve. Later ones ask only whether it lives: what it waits for may
   * be another part that is down as well, and killing it again would not help.
   */
  function answers(): Promise<void> {
    if (everReady && definition.healthy) return definition.healthy(AbortSignal.timeout(healthWithinMs));
    return definition.ready();
  }

  function failure(message: string, cause?: unknown): StartFailure {
    return new StartFailure(name, message, { cause, logFile, mend: definition.mend ?? 'npm start' });
  }

  /** Two starts at the same moment may choose the same port: the later one is told so, and its next try chooses another. */
  function causeOfEnd(ended: Exit): string {
    const isPortTaken = lastLines(logFile, 20).some((line) => portTaken.test(line));
    return isPortTaken ? 'another program has just taken its port' : describeExit(ended);
  }

  async function keepTrying(): Promise<void> {
    for (;;) {
      state = 'waiting';
      await sleep(restartDelayMs(inARow), undefined, { signal: stopped.signal }).catch(() => {});
      if (stopping) return;
      inARow++;
      restarts++;
      try {
        return await launch();
      } catch (error) {
        onEvent({ kind: 'not_ready', name, reason: messageOf(error) });
      }
    }
  }

  async function watchHealth(
    started: ChildProcess,
    healthy: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    let failingSince: number | undefined;
    while (!signal.aborted) {
      await sleep(healthEveryMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        await healthy(AbortSignal.timeout(healthWithinMs));
        failingSince = undefined;
      } catch (error) {
        failingSince ??= performance.now();
        if (performance.now() - failingSince < unhealthyRestartMs || signal.aborted) continue;
        onEvent({ kind: 'unhealthy', name, pid: started.pid ?? 0, reason: messageOf(error) });
        // It had its chance: a hung process answers no polite signal either.
        started.kill('SIGKILL');
        return;
      }
    }
  }

  async function end(): Promise<void> {
    const running = child;
    if (!running || running.exitCode !== null || running.signalCode !== null || running.pid === undefined)
      return;
    const exit = new Promise<void>((resolve) => running.once('exit', () => resolve()));
    running.kill(stopSignal);
    // A stopped process (SIGSTOP) would not see the signal.
    running.kill('SIGCONT');
    const late = setTimeout(() => running.kill('SIGKILL'), stopWithinMs);
    await exit;
    clearTimeout(late);
    onEvent({ kind: 'stopped', name, pid: running.pid });
  }

  const handle: SupervisedProcess = {
    name,
    logFile,
    pid: () => (child && child.exitCode === null && child.signalCode === null ? child.pid : undefined),
    state: () => state,
    restarts: () => restarts,
    kill: (signal) => void child?.kill(signal),
    async untilReady(withinMs) {
      const deadline = performance.now() + withinMs;
      for (;;) {
        let reason = `it is ${state}`;
        const asked = handle.pid();
        // A process that was just killed counts as running here until its parent hears of it.
        if (state === 'ready' && asked !== undefined && isAlive(asked)) {
          try {
            await definition.ready();
            if (isAlive(asked)) return;
          } catch (error) {
            reason = messageOf(error);
          }
        }
        if (performance.now() > deadline)
          throw failure(`${name} is not ready after ${withinMs / 1000} s: ${reason}`);
        await sleep(50);
      }
    },
    async stop() {
      stopping = true;
      clearInterval(trimming);
      stopped.abort();
      await end();
      state = 'stopped';
    },
  };

  const giveUp = () => void handle.stop();
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    await launch();
    if (stopping) throw failure(`${name} was stopped`);
  } catch (error) {
    await handle.stop();
    throw error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
  return handle;
}

const portTaken = /address already in use|in use by another process|EADDRINUSE|BindException/i;

type Exit = { code: number | null; signal: string | null; error?: Error };

/** Listens at once: a process that cannot even be spawned reports that as an event. */
function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

function describeExit({ code, signal, error }: Exit): string {
  if (error) return error.message;
  return signal ? `signal ${signal}` : `exit code ${code}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
