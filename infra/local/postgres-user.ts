import { readFileSync } from 'node:fs';
import { isRoot } from './layout.mjs';

export type User = { uid: number; gid: number };

/**
 * The user that Postgres runs as under root: `postgres` where there is one, else `nobody`; undefined for a plain
 * user, who runs it as himself. initdb looks its user up by name, so a number that no account has will not do.
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
