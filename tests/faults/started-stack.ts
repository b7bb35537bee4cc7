/** A stack of a test's own that `npm start` runs, for what a person does to one: end it, start it again, look into its folder. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLeftovers } from '../../infra/local/clean-up.ts';
import { removeData } from '../../infra/local/remove-data.ts';
import { holderOf, readRunningEnv } from '../../infra/local/state.ts';
import { eventually } from '../support/eventually.ts';

export type StartedStack = {
  dataDir: string;
  /** A folder of the test's own, beside the data. */
  folder: string;
  /** What `npm start` is given; whoever starts it again gives it too. */
  settings: Record<string, string>;
  /** What `ragline env` prints now. */
  env(): Record<string, string>;
  remove(): Promise<void>;
};

const root = join(import.meta.dirname, '..', '..');
const readyWithinMs = 240_000;
const stoppedWithinMs = 60_000;

/** Resolves when it is ready. */
export async function startedStack(more: Record<string, string>): Promise<StartedStack> {
  const folder = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'started-'));
  const dataDir = join(folder, 'data');
  const settings = {
    RAGLINE_DATA_DIR: dataDir,
    // The same after a restart, for clients that come back.
    RAGLINE_PORT: String(await freePort()),
    RAGLINE_RATE_LIMITS: 'off',
    ...{ RAGLINE_AOT: '0', RAGLINE_DEMO_TRAFFIC: '0', RAGLINE_RECONCILE_MINUTES: '0' },
    ...more,
  };
  const env = (): Record<string, string> => {
    const running = readRunningEnv(dataDir);
    if (running === undefined) throw new Error('no stack runs');
    return running;
  };
  const remove = async () => {
    const holder = holderOf(dataDir);
    if (holder !== undefined) process.kill(holder.pid, 'SIGTERM');
    const isGone = () => holderOf(dataDir) === undefined;
    await eventually(isGone, { withinMs: stoppedWithinMs, everyMs: 100 }).catch(() => {});
    await endLeftovers(dataDir);
    await removeData(dataDir);
    await rm(folder, { recursive: true, force: true });
  };
  const log = openSync(join(folder, 'start.log'), 'w');
  const child = spawn('npm', ['start'], {
    ...{ cwd: root, env: { ...process.env, ...settings }, stdio: ['ignore', log, log] },
  });
  closeSync(log);
  const ended = new Promise<never>((_, reject) =>
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}: ${folder}/start.log`))),
  );
  ended.catch(() => {});
  try {
    await Promise.race([ended, eventually(env, { withinMs: readyWithinMs, everyMs: 200 })]);
  } catch (error) {
    await remove();
    throw error;
  }
  return { dataDir, folder, settings, env, remove };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (typeof address !== 'object' || address === null) throw new Error('no port is free');
  return address.port;
}
