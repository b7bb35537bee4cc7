/** The real parts and the whole stack that the phases share: each is started once, when a phase first needs it. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeData } from '../../../infra/local/remove-data.ts';
import { startStack } from '../../../infra/local/start-stack.ts';
import { ownEnvironment } from './environment.ts';
import { processesOf } from './leaks.ts';

export type StackName = 'parts' | 'stack';
type RunningStack = { env: Record<string, string>; stop(): Promise<void> };

export type TestStacks = {
  /** Settings of the parts alone, or of the whole stack; starts it when nobody has, after stopping the other. */
  envOf(name: StackName): Promise<Record<string, string>>;
  /** Stops what runs, and removes its data. */
  stop(): Promise<void>;
};

/** @param folder all data of this run goes below it */
export function createTestStacks(folder: string): TestStacks {
  let current: { name: StackName; started: Promise<RunningStack> } | undefined;
  const stop = async () => {
    const last = current;
    current = undefined;
    if (last === undefined) return;
    // One that did not start has stopped what it had started.
    const stack = await last.started.catch(() => undefined);
    await stack?.stop();
    await removeData(join(folder, last.name));
  };

  return {
    stop,
    async envOf(name) {
      if (current?.name !== name) {
        await stop();
        console.log(`\n  starting ${name === 'parts' ? 'the real parts' : 'the whole stack'} …`);
        const began = performance.now();
        const started: Promise<RunningStack> = startStack({
          dataDir: join(folder, name),
          ports: 'free',
          partsOnly: name === 'parts',
          instances: { notifications: 2, 'dead-letters': 2, chat: 2 },
          env: {
            ...ownEnvironment(),
            // Limits would fail tests that are merely quick; the tests of limits set their own.
            RAGLINE_RATE_LIMITS: 'off',
            // All tests of a day are the same few users.
            BUDGET_USER_TOKENS: '0',
            BUDGET_TENANT_TOKENS: '0',
            // A record that fails for good is a dead letter after three seconds, not after an hour and more.
            RETRY_DELAYS_MS: '300,600,900,1200',
            DISCOVER_EVERY_MS: '1000',
            // Receivers of tests are on this machine, and wait for no second try.
            WEBHOOK_ALLOW_LOOPBACK: 'on',
            WEBHOOK_RETRY_DELAYS_MS: '200,400,800',
          },
        });
        current = { name, started };
        await started;
        console.log(`  ready after ${((performance.now() - began) / 1000).toFixed(1)} s`);
      }
      return (await current.started).env;
    },
  };
}

/** The folder of one run below the checkout's data; its name tells the next run whose processes were left. */
export function testFolder(root: string, mark: string): string {
  return join(root, '.ragline', `test-${mark}`);
}

/** Removes the data of a run, also what its tests put there for stacks of their own. */
export async function removeTestFolder(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeData(join(folder, entry.name));
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Ends the processes and removes the data of runs that were killed. */
export async function removeLeftRuns(root: string): Promise<void> {
  const parent = join(root, '.ragline');
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const [, mark, pid] = /^test-((\d+)-\d+)$/.exec(name) ?? [];
    if (mark === undefined || isAlive(Number(pid))) continue;
    for (const left of processesOf(mark)) process.kill(left.pid, 'SIGKILL');
    await removeTestFolder(join(parent, name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
