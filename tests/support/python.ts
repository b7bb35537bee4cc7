import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * A folder that holds the given Python packages, to be put on PYTHONPATH. Installed once per set of
 * versions into the user's cache, beside what the host's Python has, so no virtual environment is needed.
 *
 * @param requirements exact versions, as `name==version`, all with `--hash=sha256:…` or none
 */
export async function pythonPackages(requirements: string[]): Promise<string> {
  const { stdout } = await run('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
  const name = createHash('sha256')
    .update([stdout.trim(), ...requirements].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(cache, 'ragline', 'python', name);
  if (existsSync(folder)) return folder;
  const half = `${folder}.${process.pid}`;
  await mkdir(half, { recursive: true });
  try {
    // Only in a file may they have hashes.
    const file = join(half, 'requirements.txt');
    await writeFile(file, requirements.join('\n'));
    await run('python3', ['-m', 'pip', 'install', '--quiet', '--target', half, '--requirement', file]);
    // Renamed when whole, so an install that was cut off is never taken for a good one.
    await rename(half, folder);
  } catch (error) {
    await rm(half, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
