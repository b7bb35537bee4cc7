/** What runs out of a data folder: who holds it, and the settings of the running stack. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dataDirOf } from './layout.mjs';
import { startMark } from './processes.ts';
import { writePrivately } from './secrets.ts';

/** `mark` tells the process from another one that got its number later. */
export type Holder = { pid: number; mark: string; since: string };

const holderFile = (dataDir: string) => path.join(dataDir, 'running.json');
const envFile = (dataDir: string) => path.join(dataDir, 'env.json');

/** Reads what a file says of a holder; undefined for anything else, such as a half-written one. */
export function parseHolder(text: string): Holder | undefined {
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found !== 'object' || found === null) return undefined;
    const { pid, mark, since } = found as Partial<Record<keyof Holder, unknown>>;
    if (typeof pid !== 'number' || typeof mark !== 'string' || typeof since !== 'string') return undefined;
    return { pid, mark, since };
  } catch {
    return undefined;
  }
}

/** The start that holds the folder now; undefined when there is none, or only the trace of a killed one. */
export function holderOf(dataDir: string): Holder | undefined {
  const file = holderFile(dataDir);
  const holder = existsSync(file) ? parseHolder(readFileSync(file, 'utf8')) : undefined;
  return holder && startMark(holder.pid) === holder.mark ? holder : undefined;
}

export class AlreadyRunning extends Error {
  readonly holder: Holder;
  readonly url: string | undefined;
  constructor(holder: Holder, url: string | undefined) {
    super(`RAGline is running already (pid ${holder.pid})${url ? ` at ${url}` : ''}`);
    this.name = 'AlreadyRunning';
    this.holder = holder;
    this.url = url;
  }
}

/**
 * Takes the folder for this process. Throws AlreadyRunning. `stale` says that a start was killed here and what it
 * started may still run.
 */
export function takeFolder(dataDir: string): { stale: boolean; release(): void } {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = holderFile(dataDir);
  const mine: Holder = {
    pid: process.pid,
    mark: startMark(process.pid) ?? '',
    since: new Date().toISOString(),
  };
  const stale = existsSync(file);
  for (let tries = 0; tries < 3; tries++) {
    const holder = holderOf(dataDir);
    if (holder) throw new AlreadyRunning(holder, readEnvFile(dataDir)?.RAGLINE_URL);
    try {
      // Of two starts at the same moment only one can make the file.
      writeFileSync(file, JSON.stringify(mine), { flag: 'wx', mode: 0o600 });
      rmSync(envFile(dataDir), { force: true });
      return {
        stale,
        release() {
          rmSync(envFile(dataDir), { force: true });
          rmSync(file, { force: true });
        },
      };
    } catch {
      if (!holderOf(dataDir)) rmSync(file, { force: true });
    }
  }
  throw new Error(`${file} cannot be written`);
}

export function writeEnvFile(dataDir: string, env: Record<string, string>): void {
  writePrivately(envFile(dataDir), `${JSON.stringify(env, null, 2)}\n`);
}

function readEnvFile(dataDir: string): Record<string, string> | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(envFile(dataDir), 'utf8'));
    if (typeof found !== 'object' || found === null) return undefined;
    return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, String(value)]));
  } catch {
    return undefined;
  }
}

/** Every connection setting of the stack that runs out of this checkout; undefined when none runs or it is not ready yet. */
export function readRunningEnv(dataDir = dataDirOf(process.env)): Record<string, string> | undefined {
  return holderOf(dataDir) ? readEnvFile(dataDir) : undefined;
}
