/** Where things lie: parts in a cache that all checkouts share, data in the checkout, Postgres where its user can reach. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const checkoutDir = path.resolve(import.meta.dirname, '../..');

export const isRoot = process.getuid?.() === 0;

/** For what belongs to Postgres when RAGline runs as root: Postgres refuses root, and its user cannot look into root's home. */
const rootHome = '/var/lib/ragline';

export function cacheDirOf(env: NodeJS.ProcessEnv): string {
  if (env.RAGLINE_CACHE_DIR) return path.resolve(env.RAGLINE_CACHE_DIR);
  const base = env.XDG_CACHE_HOME;
  return path.join(base && path.isAbsolute(base) ? base : path.join(os.homedir(), '.cache'), 'ragline');
}

export function dataDirOf(env: NodeJS.ProcessEnv): string {
  return env.RAGLINE_DATA_DIR ? path.resolve(env.RAGLINE_DATA_DIR) : path.join(checkoutDir, '.ragline');
}

/** The folder above Postgres's data; one for each data folder. */
export function postgresHomeOf(dataDir: string, root = isRoot): string {
  if (!root) return path.join(dataDir, 'postgres');
  return path.join(rootHome, createHash('sha256').update(dataDir).digest('hex').slice(0, 16));
}

/** Where unpacked binaries of Postgres are kept. */
export function postgresPartsDirOf(cacheDir: string, root = isRoot): string {
  return root ? path.join(rootHome, 'parts') : path.join(cacheDir, 'parts');
}

export type User = { uid: number; gid: number };

/**
 * The user that Postgres runs as under root: `postgres` where there is one, else `nobody`.
 * initdb looks its user up by name, so a number that no account has will not do.
 */
export function postgresUser(
  root = isRoot,
  passwd = () => readFileSync('/etc/passwd', 'utf8'),
): User | undefined {
  if (!root) return undefined;
  const accounts = passwd()
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find((fields) => fields[0] === name);
    const uid = Number(account?.[2]);
    const gid = Number(account?.[3]);
    if (account && Number.isInteger(uid) && Number.isInteger(gid) && uid > 0) return { uid, gid };
  }
  throw new Error('No account named postgres or nobody, as which Postgres could run');
}
