import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { removeData } from '../../infra/local/remove-data.ts';
import { startStack } from '../../infra/local/start-stack.ts';
import { stack } from '../support/stack.ts';
import { killAndAwait } from './kill.ts';
import { carryWithConnectKilled } from './outbox-once.ts';

describe('500 rows of one transaction', function () {
  this.timeout(400_000);
  let running: Awaited<ReturnType<typeof startStack>>;
  let dataDir: string;

  before(async () => {
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'outbox-'));
    running = await startStack({ dataDir, ports: 'free', partsOnly: true });
  });
  after(async () => {
    await running?.stop();
    await removeData(dataDir);
  });

  it('arrive 500 times once, in order, when Connect is killed inside', async () => {
    const connect = running.process('connect');
    const { seenAtKill, ...counts } = await carryWithConnectKilled(stack(running.env), 500, () =>
      killAndAwait(connect, 120_000),
    );
    assert.ok(seenAtKill > 0);
    assert.deepEqual(counts, { arrived: 500, lost: 0, doubled: 0, reordered: 0 });
  });
});
