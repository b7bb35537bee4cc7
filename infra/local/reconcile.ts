/** `ragline streams reconcile --every …` beside a started stack: outboxes and topics compared hourly, shown as metrics. */
import path from 'node:path';
import { checkoutDir } from './layout.mjs';
import { expectOk, host } from './part.ts';
import { choosePort } from './ports.ts';
import type { Stack } from './start-stack.ts';
import { writeEnvFile } from './state.ts';
import { type SupervisedProcess, type SupervisorOptions, supervise } from './supervisor.ts';

const usualPort = 9105;

/**
 * Resolves when it runs. Throws an Error for a number of minutes that is none, and StartFailure.
 *
 * @param everyMinutes how often; 0 starts nothing
 * @param supervision `signal` ends its start
 */
export async function startReconcile(
  stack: Stack,
  everyMinutes: string,
  supervision: Pick<SupervisorOptions, 'signal' | 'onEvent'>,
): Promise<SupervisedProcess | undefined> {
  if (everyMinutes === '0') return undefined;
  if (!(Number(everyMinutes) > 0))
    throw new Error(`RAGLINE_RECONCILE_MINUTES=${everyMinutes}: how many minutes?`);
  const { env, context } = stack;
  const { port } = await choosePort(usualPort, new Set());
  const command = ['streams', 'reconcile', '--every', everyMinutes, '--port', String(port)];
  const running = await supervise(
    {
      name: 'reconcile-1',
      logFile: path.join(context.logsDir, 'reconcile-1.log'),
      command: () => ({
        file: process.execPath,
        args: [path.join(checkoutDir, 'tools', 'src', 'main.ts'), ...command],
        // The stack's addresses as they are now: a restarted part keeps its own.
        env: { ...context.env, ...env },
        cwd: checkoutDir,
      }),
      ready: () => expectOk(`http://${host}:${port}/healthz`),
      readyWithinMs: 60_000,
      stopWithinMs: 5_000,
    },
    { ...supervision, dataDir: context.dataDir, unhealthyRestartMs: 0 },
  );
  // Where the doctor asks.
  env.METRICS_URL_RECONCILE_1 = `http://${host}:${port}/metrics`;
  writeEnvFile(context.dataDir, env);
  return running;
}
