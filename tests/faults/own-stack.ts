import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'mocha';
import { removeData } from '../../infra/local/remove-data.ts';
import { type Stack, startStack } from '../../infra/local/start-stack.ts';

/**
 * Within a `describe`: a whole stack that its tests may hurt; gives it once `before` has run.
 *
 * @param settings asked for when the stack starts, and added to the environment's
 */
export function ownStack(settings: () => Record<string, string> = () => ({})): () => Stack {
  let dataDir: string;
  let stack: Stack | undefined;
  before(async () => {
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'faults-'));
    stack = await startStack({
      dataDir,
      ports: 'free',
      instances: { notifications: 2 },
      // The supervisor would end a frozen process after 15 s; a test wants to see it wake as it was.
      healthRestart: false,
      env: { ...process.env, RAGLINE_RATE_LIMITS: 'off', ...settings() },
    });
  });
  after(async () => {
    await stack?.stop();
    await removeData(dataDir);
  });
  return () => {
    if (!stack) throw new Error('the stack is used before it was started');
    return stack;
  };
}
