/** Ends what a killed start left running in its data folder. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, leftovers, signal } from './processes.ts';

/** Asks them to stop, then kills those that do not; how many there were. */
export async function endLeftovers(dataDir: string, politelyMs = 8_000): Promise<number> {
  const pids = leftovers(dataDir);
  // SIGTERM makes Postgres wait for its clients; SIGINT does not.
  for (const pid of pids) signal(pid, isPostgres(pid) ? 'SIGINT' : 'SIGTERM');
  for (const pid of pids) signal(pid, 'SIGCONT');
  const deadline = performance.now() + politelyMs;
  while (pids.some(isAlive)) {
    if (performance.now() > deadline) for (const pid of pids) signal(pid, 'SIGKILL');
    await sleep(100);
  }
  return pids.length;
}

function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith('/postgres') ?? false;
  } catch {
    return false;
  }
}
