/** What fetching wheels and fetching jars have in common: hashes, work folders, reasons. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { StartFailure } from './failure.ts';
import { isAlive } from './processes.ts';
import type { Progress } from './progress.ts';
import { CommandFailed } from './run-command.ts';

export type FetchOptions = {
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  dataDir: string;
  signal?: AbortSignal | undefined;
  onProgress: Progress;
};

/** Counted while fetching. */
export type Fetched = { bytes: number; hashes: number };

export function checkHash(part: string, file: string, expected: string, logFile: string): void {
  const actual = sha256(readFileSync(file));
  if (actual === expected) return;
  throw new StartFailure(
    part,
    `${path.basename(file)} is damaged or not the one we know (sha256 ${actual.slice(0, 12)}…, expected ${expected.slice(0, 12)}…)`,
    { mend: 'npm start    (fetches it again; what was fetched is thrown away)', logFile },
  );
}

export const sha256 = (content: string | Buffer): string =>
  createHash('sha256').update(content).digest('hex');

/** A folder beside its place, named after this process. */
export function workFolder(partsDir: string, folder: string): string {
  const work = path.join(partsDir, `.${path.basename(folder)}.${process.pid}.tmp`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  return work;
}

/** Another checkout may have been quicker: what it put there is as good. */
export function moveInto(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

/** What killed starts left: work folders whose process is gone. */
export function removeAbandoned(partsDir: string): void {
  if (!existsSync(partsDir)) return;
  for (const name of readdirSync(partsDir)) {
    const pid = /\.(\d+)\.tmp$/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) rmSync(path.join(partsDir, name), { recursive: true, force: true });
  }
}

const networkFailure =
  /Unknown host|UnknownHost|Name or service not known|Temporary failure in name resolution|Failed to establish a new connection|Network is unreachable|Connection refused|[Tt]imed out/;

export function reasonOf(error: unknown): string {
  if (!(error instanceof CommandFailed)) return error instanceof Error ? error.message : String(error);
  if (/No space left on device/.test(error.output)) return 'the disk is full';
  if (/PKIX|certificate verify failed|CERTIFICATE/.test(error.output))
    return 'the repository’s certificate is not trusted here';
  if (networkFailure.test(error.output)) return 'the network does not answer';
  return error.message;
}
