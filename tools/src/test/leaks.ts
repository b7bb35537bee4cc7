/** Finds processes that a run has left: all that we start inherit a mark in their environment. */
import { readdirSync, readFileSync } from 'node:fs';

const markName = 'RAGLINE_TEST_RUN';

/** Marks this process, and so all that it starts from now on. */
export function markRun(): string {
  const mark = `${process.pid}-${Date.now()}`;
  process.env[markName] = mark;
  return mark;
}

export type LeftProcess = { pid: number; command: string };

/** Living processes of the run, but for this one. Needs /proc, so elsewhere than on Linux it finds none. */
export function processesOf(mark: string): LeftProcess[] {
  const wanted = `${markName}=${mark}`;
  const found: LeftProcess[] = [];
  for (const name of entriesOf('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    // The environment reads empty for a zombie: it has ended and holds nothing.
    if (!readText(`/proc/${pid}/environ`).split('\0').includes(wanted)) continue;
    found.push({ pid, command: readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 160) });
  }
  return found;
}

/** Ends what the run has left, and gives it. */
export function endLeft(mark: string): LeftProcess[] {
  const left = processesOf(mark);
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended in the meantime.
    }
  }
  return left;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended in the meantime, or belongs to somebody else.
    return '';
  }
}
