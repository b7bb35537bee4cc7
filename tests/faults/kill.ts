import type { SupervisedProcess } from '../../infra/local/supervisor.ts';
import { eventually } from '../support/eventually.ts';

/** Kills a process as `kill -9` does; resolves when its supervisor has started another and that one is ready. */
export async function killAndAwait(process: SupervisedProcess, withinMs: number): Promise<void> {
  const killedPid = process.pid();
  process.kill('SIGKILL');
  await eventually(() => process.pid() !== killedPid, { withinMs });
  await process.untilReady(withinMs);
}
