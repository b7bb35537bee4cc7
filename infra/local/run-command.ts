/** Runs a program to its end, its output in a log; for the steps that fetch, format and prepare. */
import { spawn } from 'node:child_process';
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

/** Resolves with the end of the output; throws CommandFailed when the program cannot be run, fails, or takes too long. */
export async function runCommand(
  command: Command,
  { logFile, dataDir, withinMs = 600_000 }: { logFile: string; dataDir?: string; withinMs?: number },
): Promise<void> {
  mkdirSync(path.dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a', 0o600);
  const mark = dataDir === undefined ? {} : { [stackMark]: dataDir };
  const child = spawn(command.file, command.args, {
    cwd: command.cwd,
    env: { ...(command.env ?? process.env), ...mark },
    uid: command.uid,
    gid: command.gid,
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const name = path.basename(command.file);
  const late = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), withinMs);
  try {
    const ended = await new Promise<string | undefined>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) =>
        resolve(code === 0 ? undefined : signal ? `signal ${signal}` : `exit code ${code}`),
      );
    });
    if (ended !== undefined)
      throw new CommandFailed(`${name} failed: ${ended}`, readFileSync(logFile, 'utf8').slice(-4_000));
  } finally {
    clearTimeout(late);
  }
}
