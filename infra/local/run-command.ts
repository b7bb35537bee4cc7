/** Runs a program to its end, its output in a log; for the steps that fetch, format and prepare. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { stackMark } from './processes.ts';
import type { Command } from './supervisor.ts';

export class CommandFailed extends Error {
  readonly output: string;
  constructor(message: string, output: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandFailed';
    this.output = output;
  }
}

export type RunOptions = {
  logFile: string;
  /** Marks the process, see processes.ts. */
  dataDir: string;
  withinMs?: number;
  /** Aborted: the program and what it started is killed. */
  signal?: AbortSignal | undefined;
};

/** Throws CommandFailed when the program cannot be run, fails, or takes too long; its output is in the log. */
export async function runCommand(command: Command, options: RunOptions): Promise<void> {
  const { logFile, dataDir, withinMs = 600_000, signal } = options;
  signal?.throwIfAborted();
  mkdirSync(path.dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(command.file, command.args, {
    cwd: command.cwd,
    env: { ...(command.env ?? process.env), [stackMark]: dataDir },
    uid: command.uid,
    gid: command.gid,
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const kill = () => child.pid && killGroup(child.pid);
  const late = setTimeout(kill, withinMs);
  signal?.addEventListener('abort', kill, { once: true });
  try {
    const ended = await endOf(child);
    signal?.throwIfAborted();
    if (ended === undefined) return;
    const output = readFileSync(logFile, 'utf8').slice(-4_000);
    throw new CommandFailed(`${path.basename(command.file)} failed: ${ended}`, output);
  } finally {
    clearTimeout(late);
    signal?.removeEventListener('abort', kill);
  }
}

/** How it ended; undefined when well. */
function endOf(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(code === 0 ? undefined : signal ? `signal ${signal}` : `exit code ${code}`),
    );
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
