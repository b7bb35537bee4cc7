/** The child processes of the runner: commands and test files, each within a limit of time. */
import { type ChildProcess, spawn } from 'node:child_process';

const running = new Set<ChildProcess>();
let stopping = false;

/** Ends what still runs; used when the runner itself is told to stop. */
export async function stopChildren(): Promise<void> {
  stopping = true;
  await Promise.all([...running].map((child) => endChild(child)));
}

/** Whether no more should be started. */
export function isStopping(): boolean {
  return stopping;
}

export type CommandResult = { code: number; output: string };

/** Runs a command to its end and keeps what it printed; one that takes too long is ended and fails. */
export async function runCommand(
  command: string,
  args: readonly string[],
  { cwd, withinMs }: { cwd: string; withinMs: number },
): Promise<CommandResult> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
  const ended = await endOf(child, withinMs);
  if (ended.tooLate) chunks.push(`\nended after ${withinMs / 1000} s`);
  return { code: ended.code, output: chunks.join('') };
}

/** Waits for the end of a process, and ends it when that takes too long. */
export async function endOf(
  child: ChildProcess,
  withinMs: number,
): Promise<{ code: number; tooLate: boolean }> {
  let tooLate = false;
  running.add(child);
  const timer = setTimeout(() => {
    tooLate = true;
    void endChild(child);
  }, withinMs);
  const code = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('close', (exitCode) => resolve(exitCode ?? 1));
  });
  clearTimeout(timer);
  running.delete(child);
  return { code: tooLate ? 1 : code, tooLate };
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(timer);
}
