/** The program k6: the one on this machine, or one that Go builds once into the cache. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirOf } from '../../../infra/local/layout.mjs';
import { tell } from '../parts/numbers.ts';

const run = promisify(execFile);
const version = '1.8.1';
const buildWithinMs = 900_000;

/** Its path; throws with how to get it when there is neither k6 nor Go. */
export async function findK6(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const given = env.K6;
  if (given) return given;
  const folders = (env.PATH ?? '').split(delimiter);
  const cached = join(cacheDirOf(env), `k6-${version}`);
  const found = [...folders, cached].map((folder) => join(folder, 'k6')).find((path) => existsSync(path));
  return found ?? build(cached, env);
}

async function build(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  tell(`building k6 ${version} with Go, once; takes some minutes`);
  const half = `${folder}.${process.pid}`;
  await mkdir(half, { recursive: true });
  try {
    const settings = { ...env, GOBIN: half };
    await run('go', ['install', `go.k6.io/k6@v${version}`], { env: settings, timeout: buildWithinMs });
    // Renamed when whole, so that a build that was cut off is never taken for a good one.
    await rename(half, folder);
  } catch (error) {
    await rm(half, { recursive: true, force: true });
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `k6 was neither found nor built: install k6 (or Go, which builds it), or set K6 to its path. ${why}`,
    );
  }
  return join(folder, 'k6');
}
