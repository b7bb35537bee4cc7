/** CPU time by process, of everything on this machine (proc(5)): where the time of a path through many of them goes. */
import { readdirSync, readFileSync } from 'node:fs';
import { round } from '../../parts/numbers.ts';

export type Cpu = ReadonlyMap<number, { kind: string; ms: number }>;

const tickMs = 10;

/**
 * Empty where there is no /proc.
 *
 * @param member the id of a process of the stack: what was not started by its supervisor is left out, this process aside
 */
export function readCpu(member?: number): Cpu {
  const all = new Map<number, { kind: string; ms: number; parent: number }>();
  for (const name of listed()) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // Counted from the state behind the name in parentheses, which is 0: ppid, …, utime, stime.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const ms = (Number(fields[11]) + Number(fields[12])) * tickMs;
      all.set(Number(name), { kind: kindOf(Number(name), command), ms, parent: Number(fields[1]) });
    } catch {
      // It has ended meanwhile.
    }
  }
  const root = all.get(member ?? 0)?.parent;
  if (root === undefined) return all;
  const isOurs = (pid: number): boolean => pid === root || (pid > 1 && isOurs(all.get(pid)?.parent ?? 0));
  return new Map([...all].filter(([pid]) => pid === process.pid || isOurs(pid)));
}

/** What each kind of process has used between two readings, in CPU seconds for each thousand of `count`. */
export function cpuBetween(before: Cpu, after: Cpu, count: number): Record<string, number> {
  const sums = new Map<string, number>();
  for (const [pid, { kind, ms }] of after) {
    sums.set(kind, (sums.get(kind) ?? 0) + ms - (before.get(pid)?.ms ?? 0));
  }
  // Milliseconds for one are seconds for a thousand.
  const each = [...sums].map(([kind, ms]) => [kind, round(ms / count, 2)] as const);
  return Object.fromEntries(each.filter(([, of]) => of > 0).sort(([, a], [, b]) => b - a));
}

function listed(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** Told by what an operating system shows of any process: its command. */
function kindOf(pid: number, command: string): string {
  if (pid === process.pid) return 'this process';
  const [, service] = command.match(/services\/([a-z-]+)\/src\/main\.ts/) ?? [];
  if (service !== undefined) return service;
  if (command.startsWith('postgres') || /\/postgres /.test(command)) {
    const [, role] = command.match(/^postgres: (?:ragline_)?([a-z_]+) /) ?? [];
    return role === undefined || role === 'ragline' ? 'postgres' : `postgres for ${role}`;
  }
  if (command.includes('kafka.Kafka ')) return 'kafka';
  if (command.includes('kafka.connect') || command.includes('connect-')) return 'connect';
  return 'others on the machine';
}
