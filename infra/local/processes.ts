/** Processes by id: is it still the one we started, and which ones did a killed start leave behind. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Every process of a stack carries this variable with the data folder, so that it can be found when its parent is gone. */
export const stackMark = 'RAGLINE_STACK';

/** When a process began, in a form that is only good for comparison; undefined when it is gone. A pid alone may belong to another by now. */
export function startMark(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Pids of processes that carry this data folder's mark, except this process. */
export function leftovers(dataDir: string): number[] {
  const mark = `${stackMark}=${dataDir}`;
  const found = process.platform === 'linux' ? markedInProc(mark) : markedInPs(mark);
  return found.filter((pid) => pid !== process.pid);
}

function markedInProc(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark);
      } catch {
        return false;
      }
    })
    .map(Number);
}

function markedInPs(mark: string): number[] {
  const lines = execFileSync('ps', ['-axEww', '-o', 'pid=,command='], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return lines
    .split('\n')
    .filter((line) => `${line} `.includes(` ${mark} `))
    .map((line) => Number.parseInt(line, 10));
}

export function isAlive(pid: number): boolean {
  return startMark(pid) !== undefined;
}

/** Sends a signal; a process that is gone, or belongs to somebody else, is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // gone already
  }
}
