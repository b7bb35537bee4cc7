import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'mocha';
import { removeData } from '../../infra/local/remove-data.ts';
import { startStack } from '../../infra/local/start-stack.ts';

/**
 * Within a `describe`: real parts for tests that find theirs in the environment, where the runner starts none. Gives
 * their data folder, once `before` has run.
 */
export function ownParts(): () => { dataDir: string } {
  let dataDir: string;
  let running: Awaited<ReturnType<typeof startStack>> | undefined;
  const earlier = { ...process.env };
  before(async () => {
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'parts-'));
    running = await startStack({ dataDir, ports: 'free', partsOnly: true });
    Object.assign(process.env, running.env);
  });
  after(async () => {
    process.env = earlier;
    await running?.stop();
    await removeData(dataDir);
  });
  return () => ({ dataDir });
}
