// Completes package-lock.json with the packages of other platforms, and takes install scripts out that are not to run.
//
// Native packages come as one optional package for each platform. npm leaves those out of the lock that its registry
// does not have (a mirror may lack them), and `npm ci` then refuses the lock everywhere. Their versions are exact in
// the package that needs them, and their names tell the platform, so they can be added without asking anybody; what
// cannot be added is their hash, so npm checks them by its registry alone.
//
// An install script that package.json refuses (`allowScripts`) runs all the same where npm does not know that field, and
// onnxruntime's downloads from outside of the registry. npm runs those of which the lock says that there is one.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const systems = ['darwin', 'linux', 'win32', 'android', 'freebsd', 'openharmony', 'netbsd', 'openbsd'];
const processors = ['arm64', 'x64', 'arm', 'ia32', 'ppc64', 's390x', 'riscv64', 'loong64'];

/** Adds what is missing to the lock, and returns the names of what it added. */
export function lockPlatforms(lock) {
  const added = [];
  for (const [path, entry] of Object.entries({ ...lock.packages })) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (isLocked(lock, path, name)) continue;
      const platform = platformOf(name);
      if (platform === undefined || !/^\d+\.\d+\.\d+$/.test(version)) continue;
      const dev = entry.dev ? { dev: true } : {};
      lock.packages[`node_modules/${name}`] = { version, ...dev, optional: true, ...platform };
      added.push(name);
    }
  }
  const byPath = ([a], [b]) => (a === '' ? -1 : b === '' ? 1 : a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(byPath));
  return added;
}

/** Takes what `allowScripts` refuses out of the lock, and returns the paths of those packages. */
export function refuseScripts(lock, { allowScripts }) {
  const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const refused = Object.keys(lock.packages).filter(
    (path) => lock.packages[path].hasInstallScript && allowScripts[nameOf(path)] === false,
  );
  for (const path of refused) delete lock.packages[path].hasInstallScript;
  return refused;
}

/** Looks where Node would: beside the package, then further up. */
function isLocked(lock, path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (lock.packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === '') return false;
  }
}

function platformOf(name) {
  const words = name.split('/').at(-1).split(/[-.]/);
  const os = systems.find((system) => words.includes(system));
  if (os === undefined) return undefined;
  const cpu = processors.find((processor) => words.includes(processor));
  const libc = words.includes('musl')
    ? ['musl']
    : words.some((word) => word.startsWith('gnu'))
      ? ['glibc']
      : undefined;
  return { os: [os], ...(cpu ? { cpu: [cpu] } : {}), ...(os === 'linux' && libc ? { libc } : {}) };
}

if (process.argv[1] === import.meta.filename) {
  const root = join(import.meta.dirname, '..', '..');
  const path = join(root, 'package-lock.json');
  const lock = JSON.parse(readFileSync(path, 'utf8'));
  const added = lockPlatforms(lock);
  const refused = refuseScripts(lock, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${added.length} added${added.map((name) => `\n  ${name}`).join('')}`);
  for (const it of refused) console.log(`${it}: its install script is not run`);
}
