/** Removes everything that a stack keeps, Postgres's folder under root included. */
import { rm } from 'node:fs/promises';
import { postgresHomeOf } from './layout.mjs';
import { holderOf } from './state.ts';

/** Throws while a stack runs out of the folder. Backups of nothing are kept: the slot goes with the data. */
export async function removeData(dataDir: string): Promise<void> {
  const holder = holderOf(dataDir);
  if (holder && holder.pid !== process.pid) throw new Error(`${dataDir} is in use by process ${holder.pid}`);
  await rm(postgresHomeOf(dataDir), { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}
