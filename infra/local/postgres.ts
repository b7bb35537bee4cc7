/** Postgres: passwords for everyone (SCRAM), TCP on loopback only, logical decoding switched on. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { StartFailure } from './failure.ts';
import { need } from './fetch-parts.ts';
import { isRoot, postgresHomeOf } from './layout.mjs';
import { cleanEnvironment, host, type PartContext, type Plan } from './part.ts';
import { postgresUser } from './postgres-user.ts';
import { isAlive } from './processes.ts';
import { runCommand } from './run-command.ts';
import type { Command, ProcessDefinition } from './supervisor.ts';

export const databaseName = 'ragline';
const owner = 'ragline';

export function postgresUrl(context: Plan, user: string, password: string, database = databaseName): string {
  return `postgres://${user}:${encodeURIComponent(password)}@${host}:${context.ports.postgres}/${database}`;
}

export const ownerUrl = (context: Plan, database?: string): string =>
  postgresUrl(context, owner, context.secrets.postgres, database);

export async function postgres(context: PartContext): Promise<ProcessDefinition> {
  const logFile = path.join(context.logsDir, 'postgres.log');
  const data = await preparedData(context, logFile);
  return {
    name: 'postgres',
    logFile,
    command: () => {
      removeStalePid(data);
      return serverCommand(context, data);
    },
    ready: () => logIn(context, data, logFile),
    readyWithinMs: 60_000,
    // Fast shutdown: open sessions are cut, nothing committed is lost.
    stopSignal: 'SIGINT',
    stopWithinMs: 20_000,
  };
}

async function logIn(context: PartContext, data: string, logFile: string): Promise<void> {
  try {
    await query(ownerUrl(context, 'postgres'), 'select 1');
  } catch (error) {
    const refused = error instanceof Error && 'code' in error && error.code === '28P01';
    if (!refused) throw error;
    const why = `${data} was made with other passwords than ${context.dataDir}/secrets.json has (was that folder removed by hand?)`;
    throw new StartFailure('postgres', why, { cause: error, logFile, mend: 'npm start -- --reset' });
  }
}

function serverCommand(context: PartContext, data: string): Command {
  const settings = {
    listen_addresses: host,
    port: context.ports.postgres,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '256MB',
    wal_level: 'logical',
    max_replication_slots: 8,
    max_wal_senders: 8,
    // A connector that stays away may not fill the disk; orders are refused before this is reached.
    max_slot_wal_keep_size: '2GB',
    wal_sender_timeout: '30s',
    jit: 'off',
    log_line_prefix: '%m [%p] %u@%d ',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return {
    file: path.join(need(context.files.postgresDir), 'bin', 'postgres'),
    args: ['-D', data, ...args],
    env: cleanEnvironment(context.env),
    cwd: data,
    ...postgresUser(),
  };
}

/** The data folder, made by initdb when it is not there; in a folder beside it first, so that a killed start leaves none half-made. */
async function preparedData(context: PartContext, logFile: string): Promise<string> {
  const home = postgresHomeOf(context.dataDir);
  const data = path.join(home, 'data');
  const user = postgresUser();
  makeHome(home);
  if (existsSync(path.join(data, 'PG_VERSION'))) return data;
  const work = path.join(home, 'data.new');
  const passwordFile = path.join(home, 'password');
  rmSync(work, { recursive: true, force: true });
  writeFileSync(passwordFile, `${context.secrets.postgres}\n`, { mode: 0o600 });
  if (user) chownSync(passwordFile, user.uid, user.gid);
  try {
    const initdb = path.join(need(context.files.postgresDir), 'bin', 'initdb');
    // With locale C, pg_trgm would drop every letter outside ASCII.
    const args = ['-D', work, '-U', owner, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8'];
    await runCommand(
      {
        file: initdb,
        args: [...args, `--pwfile=${passwordFile}`],
        env: cleanEnvironment(context.env),
        cwd: home,
        ...user,
      },
      { logFile, dataDir: context.dataDir, withinMs: 120_000 },
    );
    renameSync(work, data);
  } catch (error) {
    throw new StartFailure('postgres', `Postgres could not make its data folder: ${initdbReason(error)}`, {
      cause: error,
      logFile,
      mend: 'npm start',
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  return data;
}

function makeHome(home: string): void {
  const user = postgresUser();
  if (isRoot) {
    // Only the folder itself is closed; its parents stay as open as the system has them.
    mkdirSync(path.dirname(home), { recursive: true, mode: 0o755 });
  }
  mkdirSync(home, { recursive: true, mode: 0o700 });
  chmodSync(home, 0o700);
  if (user) chownSync(home, user.uid, user.gid);
}

function initdbReason(error: unknown): string {
  const output = error instanceof Error && 'output' in error ? String(error.output) : '';
  if (/invalid locale name/.test(output))
    return 'this machine has no locale C.UTF-8 (Debian: apt-get install locales)';
  if (/No space left on device/.test(output)) return 'the disk is full';
  return error instanceof Error ? error.message : String(error);
}

/** A pid file of a killed server whose number another process has by now would keep Postgres from starting. */
function removeStalePid(data: string): void {
  const file = path.join(data, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  if (!isAlive(pid) || !commandOf(pid).includes('postgres')) rmSync(file, { force: true });
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return process.platform === 'linux' ? '' : 'postgres';
  }
}

export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return rows;
  } finally {
    // Also after a refused login, or the server keeps the connection open for a minute.
    await client.end();
  }
}

/** Makes the server's main database; safe to repeat. `databaseUrl` names it, on an embedded server or another. */
export async function ensureMainDatabase(databaseUrl: string): Promise<void> {
  const server = new URL(databaseUrl);
  const name = decodeURIComponent(server.pathname.slice(1));
  server.pathname = '/postgres';
  const rows = await query(
    server.href,
    `select 1 from pg_database where datname = '${name.replaceAll("'", "''")}'`,
  );
  if (rows.length === 0) await query(server.href, `create database "${name.replaceAll('"', '""')}"`);
}
