/** The child processes of the runner: commands and test files, each within a limit of time. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import type { MochaOrder, MochaOutcome } from './mocha.ts';

const running = new Set<ChildProcess>();

/** Ends what still runs; used when the runner itself is told to stop. */
export async function stopChildren(): Promise<void> {
  await Promise.all([...running].map((child) => endChild(child)));
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

export type MochaRun = MochaOrder & { script: string; env: NodeJS.ProcessEnv; withinMs: number };

// After its last test a process has nothing left to do; more than a moment means that something was left behind.
const exitWithinMs = 5_000;

/** Runs test files in a process of their own; what goes wrong with the process counts as a failure. */
export async function runMocha({ script, env, withinMs, ...order }: MochaRun): Promise<MochaOutcome> {
  const child = fork(script, [], { cwd: order.root, env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let outcome: MochaOutcome | undefined;
  let leftBehind = false;
  let leaveTimer: NodeJS.Timeout | undefined;
  child.on('message', (message: MochaOutcome) => {
    outcome = message;
    leaveTimer = setTimeout(() => {
      leftBehind = true;
      void endChild(child);
    }, exitWithinMs);
  });
  child.send(order satisfies MochaOrder);
  const { code, tooLate } = await endOf(child, withinMs);
  clearTimeout(leaveTimer);

  const fault = tooLate
    ? `ended after ${withinMs / 1000} s`
    : leftBehind
      ? `still alive ${exitWithinMs / 1000} s after its last test: a test left a timer, socket or server behind`
      : outcome === undefined
        ? `the process ended with ${code} before its tests did`
        : undefined;
  const result = outcome ?? { passed: 0, skipped: 0, failures: [] };
  if (fault === undefined) return result;
  return { ...result, failures: [...result.failures, { title: 'the process of the tests', message: fault }] };
}

async function endOf(child: ChildProcess, withinMs: number): Promise<{ code: number; tooLate: boolean }> {
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

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(timer);
}
