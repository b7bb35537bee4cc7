/** The machine and the start itself. */
import { statfs } from 'node:fs/promises';
import { dataDirOf } from '../../../infra/local/layout.mjs';
import { holderOf, readRunningEnv } from '../../../infra/local/state.ts';
import type { Check } from './check.ts';

const roomyBytes = 2e9;
const tightBytes = 0.5e9;

export const machineChecks: Check[] = [
  {
    name: 'start',
    mend: 'npm start',
    async run() {
      const dataDir = dataDirOf(process.env);
      const holder = holderOf(dataDir);
      if (!holder) {
        const detail = `nothing runs out of ${dataDir}; what follows is told by the settings of this shell`;
        return { state: 'warning', detail };
      }
      const ready = readRunningEnv(dataDir) !== undefined;
      const detail = `pid ${holder.pid}, since ${holder.since}`;
      return ready
        ? { detail }
        : { state: 'warning', detail: `${detail}, not ready yet`, mend: 'wait for "Ready"' };
    },
  },
  {
    name: 'disk',
    mend: 'free some space: the outbox, the write-ahead log and the topics need room',
    async run() {
      const { bavail, bsize } = await statfs(existing(dataDirOf(process.env)));
      const free = bavail * bsize;
      const detail = `${(free / 1e9).toFixed(1)} GB free`;
      return { state: free < tightBytes ? 'broken' : free < roomyBytes ? 'warning' : 'ok', detail };
    },
  },
];

/** The data folder, or the checkout while there is none yet. */
function existing(folder: string): string {
  return holderOf(folder) ? folder : process.cwd();
}
