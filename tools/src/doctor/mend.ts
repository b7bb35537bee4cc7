/** What to do with a part that does not answer. */
import { startMark } from '../../../infra/local/processes.ts';
import { pidName } from '../../../infra/local/stack-env.ts';
import { readRunningEnv } from '../../../infra/local/state.ts';

/** One that runs but does not answer is ended: its supervisor starts it again. Without one, `otherwise`. */
export function mendOf(process: string, otherwise: string, env = readRunningEnv() ?? {}): string {
  const pid = Number(env[pidName(process)]);
  if (!pid) return otherwise;
  return startMark(pid) === undefined
    ? `wait, it is being started again    (its log: ${env.RAGLINE_LOGS}/${process}.log)`
    : `kill -9 ${pid}    (it does not answer; it is started again by itself)`;
}
