/**
 * Runs test files, one after the other, in a process of their own, so that a crash, a leak or a frozen loop is theirs.
 *
 * Started by workers.ts, which sends a MochaTask for each file and gets its MochaOutcome. When there are no more, the
 * process must end by itself: what keeps it alive is a server, a timer or a socket that a test left behind.
 */
import { isAbsolute, join } from 'node:path';
import Mocha from 'mocha';

/** The argument of the process, as JSON. */
export type MochaOrder = { root: string; grep: string | undefined; timeoutMs: number; color: boolean };
export type MochaTask = { file: string } | 'no more';
export type MochaOutcome = {
  passed: number;
  skipped: number;
  failures: { title: string; message: string }[];
};

/** Printed after all that a file prints: whoever reads the output of two processes must not mix their files. */
export const endOfFile = '\u001e';

if (process.send !== undefined) {
  const order: MochaOrder = JSON.parse(process.argv[2] ?? '');
  process.on('unhandledRejection', (error) => {
    // Shown, and no failure: a scene that ended in the middle of something may leave one behind.
    console.log(`    a rejection that nobody handled: ${messageOf(error).split('\n', 2).join('')}`);
  });
  process.on('message', async (task: MochaTask) => {
    if (task === 'no more') process.disconnect();
    else await tell(await runFile(order, task.file).catch((error: unknown) => notLoaded(task.file, error)));
  });
}

async function runFile({ root, grep, timeoutMs, color }: MochaOrder, file: string): Promise<MochaOutcome> {
  const mocha = new Mocha({
    reporter: 'spec',
    color,
    timeout: timeoutMs,
    // Longer than this is shown in yellow; nothing fails by it.
    slow: timeoutMs / 4,
    forbidOnly: true,
    ...(grep === undefined ? {} : { fgrep: grep }),
  });
  mocha.addFile(isAbsolute(file) ? file : join(root, file));
  await mocha.loadFilesAsync();

  const outcome: MochaOutcome = { passed: 0, skipped: 0, failures: [] };
  if (!hasTest(mocha, grep)) return outcome;
  console.log(`\n  ${file}`);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const runner = mocha.run(() => resolve());
  runner.on('pass', () => {
    outcome.passed += 1;
  });
  runner.on('pending', () => {
    outcome.skipped += 1;
  });
  runner.on('fail', (test, error: unknown) => {
    outcome.failures.push({ title: test.fullTitle(), message: messageOf(error) });
  });
  await ended;
  // It listens for rejections, and two that do pass them to each other for ever.
  mocha.dispose();
  return outcome;
}

function hasTest({ suite }: Mocha, grep = ''): boolean {
  let found = false;
  suite.eachTest((test) => {
    found ||= test.fullTitle().includes(grep);
  });
  return found;
}

function notLoaded(file: string, error: unknown): MochaOutcome {
  const failure = { title: `${file} could not be loaded`, message: messageOf(error) };
  return { passed: 0, skipped: 0, failures: [failure] };
}

function tell(outcome: MochaOutcome): Promise<void> {
  process.stdout.write(endOfFile);
  return new Promise((resolve) => {
    process.send?.(outcome, () => resolve());
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
