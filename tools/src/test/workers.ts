/** Runs test files in processes of their own, several side by side; each takes the next file when it is done with one. */
import { type ChildProcess, fork } from 'node:child_process';
import { endChild, endOf, isStopping } from './child.ts';
import { endOfFile, type MochaOrder, type MochaOutcome, type MochaTask } from './mocha.ts';

export type MochaRun = MochaOrder & {
  script: string;
  /** In the order in which they are begun. */
  files: readonly string[];
  /** How many processes run side by side. */
  workers: number;
  env: NodeJS.ProcessEnv;
  withinMs: number;
  /** Shows what is printed. */
  print?: (text: string) => void;
};

// After its last test a process has nothing left to do; more than a moment means that something was left behind.
const exitWithinMs = 10_000;

/** Runs all files. What goes wrong with a process counts as a failure of the file it was at; the others still run. */
export async function runMocha(run: MochaRun): Promise<MochaOutcome> {
  const waiting = [...run.files];
  const endsAt = performance.now() + run.withinMs;
  const outcomes: MochaOutcome[] = [];
  const { print = (text: string) => void process.stdout.write(text) } = run;
  const show = run.workers === 1 ? piecemeal : fileByFile;
  const work = async () => {
    // A second process only after one that broke down.
    while (waiting.length > 0 && !isStopping())
      outcomes.push(await runWorker(run, { waiting, endsAt, show: (child) => show(child, print) }));
  };
  await Promise.all(Array.from({ length: Math.min(run.workers, waiting.length) }, work));
  return sumOf(outcomes);
}

export function sumOf(outcomes: readonly MochaOutcome[]): MochaOutcome {
  return {
    passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
    skipped: outcomes.reduce((sum, { skipped }) => sum + skipped, 0),
    failures: outcomes.flatMap(({ failures }) => failures),
  };
}

type Queue = { waiting: string[]; endsAt: number; show: (child: ChildProcess) => void };

/** One process: gives it file after file while there are any. */
async function runWorker(run: MochaRun, { waiting, endsAt, show }: Queue): Promise<MochaOutcome> {
  const { script, root, grep, timeoutMs, color, env } = run;
  const order: MochaOrder = { root, grep, timeoutMs, color };
  const child = fork(script, [JSON.stringify(order)], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  show(child);

  const outcomes: MochaOutcome[] = [];
  let current: string | undefined;
  let leftBehind = false;
  let leaveTimer: NodeJS.Timeout | undefined;
  const next = () => {
    current = waiting.shift();
    const task: MochaTask = current === undefined ? 'no more' : { file: current };
    // One that cannot take it has ended, which is told below.
    child.send(task, () => {});
    if (current !== undefined) return;
    leaveTimer = setTimeout(() => {
      leftBehind = true;
      void endChild(child);
    }, exitWithinMs);
  };
  child.on('message', (outcome: MochaOutcome) => {
    outcomes.push(outcome);
    next();
  });
  next();
  const { code, tooLate } = await endOf(child, Math.max(0, endsAt - performance.now()));
  clearTimeout(leaveTimer);
  // No time is left for the others either.
  const unseen = tooLate ? waiting.splice(0) : [];

  const fault = tooLate
    ? `ended after ${run.withinMs / 1000} s${unseen.length > 0 ? `, before ${unseen.join(', ')}` : ''}`
    : leftBehind
      ? `still alive ${exitWithinMs / 1000} s after its last test: a test left a timer, socket or server behind`
      : current !== undefined
        ? `the process ended with ${code} before its tests did`
        : undefined;
  if (fault === undefined) return sumOf(outcomes);
  const title = `the process of the tests${current === undefined ? '' : ` at ${current}`}`;
  return sumOf([...outcomes, { passed: 0, skipped: 0, failures: [{ title, message: fault }] }]);
}

type Print = (text: string) => void;

function piecemeal({ stdout, stderr }: ChildProcess, print: Print): void {
  for (const stream of [stdout, stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => print(text.replaceAll(endOfFile, '')));
}

/** Keeps what a process prints until its file is over, so that files which run side by side are read one by one. */
function fileByFile({ stdout, stderr }: ChildProcess, print: Print): void {
  let kept = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept += text;
  });
  stdout?.setEncoding('utf8').on('data', (text: string) => {
    kept += text;
    const ends = kept.lastIndexOf(endOfFile);
    if (ends < 0) return;
    print(kept.slice(0, ends).replaceAll(endOfFile, ''));
    kept = kept.slice(ends + endOfFile.length);
  });
  // What a process that broke down had printed of its last file.
  stdout?.once('close', () => print(kept));
}
