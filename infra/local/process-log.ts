/** Logs of processes: appended to, and never larger than twice ten megabytes, however long a process runs. */
import { copyFileSync, existsSync, mkdirSync, openSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';

const logBytesMax = 10 * 1024 * 1024;

/** Opens a log for appending; the file descriptor. */
export function openLog(file: string): number {
  mkdirSync(path.dirname(file), { recursive: true });
  trimLog(file);
  return openSync(file, 'a', 0o600);
}

/**
 * Puts the content of a log that has grown too large aside, as `<file>.1`, and goes on in an empty one.
 *
 * The process keeps its file, so it is copied and cut, not renamed; lines of the moment in between may be lost.
 */
export function trimLog(file: string, bytesMax = logBytesMax): void {
  try {
    if (!existsSync(file) || statSync(file).size <= bytesMax) return;
    copyFileSync(file, `${file}.1`);
    truncateSync(file);
  } catch {
    // A full disk, most likely: a log may not stop what it tells about.
  }
}
