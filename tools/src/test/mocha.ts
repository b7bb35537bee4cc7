/**
 * Runs test files in a process of their own, so that a crash, a leak or a frozen loop is theirs alone.
 *
 * Started by child.ts, which sends a MochaOrder and gets a MochaOutcome. The process must then end by itself:
 * what keeps it alive is a server, a timer or a socket that a test left behind.
 */
import { isAbsolute, join } from 'node:path';
import Mocha from 'mocha';

export type MochaOrder = { root: string; files: string[]; grep: string | undefined; timeoutMs: number };
export type MochaOutcome = {
  passed: number;
  skipped: number;
  failures: { title: string; message: string }[];
};

process.once('message', async (order: MochaOrder) => {
  try {
    await runFiles(order);
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    await tell({
      passed: 0,
      skipped: 0,
      failures: [{ title: 'the test files could not be loaded', message }],
    });
  }
  process.disconnect();
});

async function runFiles({ root, files, grep, timeoutMs }: MochaOrder): Promise<void> {
  const mocha = new Mocha({
    reporter: 'spec',
    timeout: timeoutMs,
    // Longer than this is shown in yellow; nothing fails by it.
    slow: timeoutMs / 4,
    forbidOnly: true,
    ...(grep === undefined ? {} : { fgrep: grep }),
  });
  for (const file of files) mocha.addFile(isAbsolute(file) ? file : join(root, file));
  await mocha.loadFilesAsync();

  const outcome: MochaOutcome = { passed: 0, skipped: 0, failures: [] };
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const runner = mocha.run(() => resolve());
  runner.on('pass', () => {
    outcome.passed += 1;
  });
  runner.on('pending', () => {
    outcome.skipped += 1;
  });
  runner.on('fail', (test, error: unknown) => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    outcome.failures.push({ title: test.fullTitle(), message });
  });
  await ended;
  await tell(outcome);
}

function tell(outcome: MochaOutcome): Promise<void> {
  return new Promise((resolve) => {
    if (process.send) process.send(outcome, () => resolve());
    else resolve();
  });
}
