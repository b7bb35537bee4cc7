// Runs before anything is installed, on whatever Node ≥ 18 the host has: no dependency, no TypeScript.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The pinned Node that comes as a package. */
export function nodeOf(root) {
  return join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/** True when node_modules holds what package-lock.json names, and the pinned Node is there. */
export function isInstalled(root) {
  const wanted = lockedPackages(join(root, 'package-lock.json'));
  const present = lockedPackages(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === undefined || present === undefined || !existsSync(nodeOf(root))) return false;
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    if (!path.includes('node_modules/') || link) return true;
    // Optional packages are those of other platforms.
    return present[path]?.version === version || (optional && present[path] === undefined);
  });
}

/**
 * Installs the locked packages when they are missing or others; throws with the remedy when that fails.
 *
 * @returns whether something had to be installed
 */
export function ensureInstalled(root, { stdio = 'inherit' } = {}) {
  const [major = 0] = process.versions.node.split('.').map(Number);
  if (major < 18) throw new Error(`Node ${process.versions.node} is too old: install Node 18 or newer.`);
  if (isInstalled(root)) return false;
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // The onnxruntime package would otherwise fetch from outside of the registry and fail the install.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const result = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], { cwd: root, env, stdio });
  if (result.error?.code === 'ENOENT') throw new Error('npm is not on the PATH: install it beside Node.');
  if (result.status !== 0)
    throw new Error('Installing the packages failed. Mend: rm -rf node_modules && npm ci');
  return true;
}

function lockedPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
