/**
 * Postgres was restored and the connector started on it, before anybody opened docs/operations/postgres-restored.md: its
 * place lies in a log that is not there any more. What the page's step 5 has then to mend.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { topics } from '@ragline/schemas/topics';
import { after, before, describe, it } from 'mocha';
import { postgresHomeOf } from '../../infra/local/layout.mjs';
import { removeData } from '../../infra/local/remove-data.ts';
import { type Stack, startStack } from '../../infra/local/start-stack.ts';
import { eventually } from '../support/eventually.ts';
import { bareOutbox } from './bare-outbox.ts';

const run = promisify(execFile);
const patient = { withinMs: 120_000, everyMs: 500 };

describe('a restored Postgres on which the connector was started at once', function () {
  this.timeout(900_000);
  let dataDir: string;
  let data: string;
  let parts: Stack | undefined;
  const { query, held } = bareOutbox(() => parts);
  before(async () => {
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'late-'));
    data = join(postgresHomeOf(dataDir), 'data');
    parts = await start();
  });
  after(async () => {
    await parts?.stop();
    await removeData(dataDir);
  });

  it('has every event on its topic once after a rebuild, and what comes then', async () => {
    const kept = await write(5);
    await arrived(kept);
    await restart(() => run('cp', ['-a', data, `${data}.copy`]));
    // Far ahead: what the start itself writes to the log must not reach it.
    const withdrawn: string[] = [];
    for (let i = 0; i < 6; i += 1) {
      withdrawn.push(...(await write(1)));
      await query('SELECT pg_switch_wal()');
    }
    await arrived([...kept, ...withdrawn]);
    await parts?.stop();
    parts = undefined;
    await rm(data, { recursive: true });
    await run('cp', ['-a', `${data}.copy`, data]);
    await assert.rejects(start(), /earlier state of Postgres was restored/);
    // Elsewhere nobody stops it.
    parts = await startStack({ dataDir, ports: 'free', mending: true });
    await ragline('connectors', 'resume');
    await eventually(async () => assert.equal(await found('connector'), 'ok'), patient);
    const behind = await write(3);
    // It runs, and has read further than there is log.
    assert.equal(await found('connector'), 'ok');
    assert.equal(await found('connector place'), 'broken');

    await ragline('streams', 'rebuild', '--restored', '--yes');
    const news = await write(2);
    await arrived([...kept, ...behind, ...news]);
    await ragline('streams', 'reconcile');
    assert.deepEqual(await found('connector place'), 'ok');
  });

  /** What the doctor says of it. There are no services, so the whole is never healthy. */
  async function found(name: string): Promise<string | undefined> {
    const { stdout } = await ragline('doctor', '--json').catch((error: { stdout: string }) => error);
    const findings: { name: string; state: string }[] = JSON.parse(stdout);
    return findings.find((it) => it.name === name)?.state;
  }

  const start = () => startStack({ dataDir, ports: 'free', partsOnly: true });

  async function restart(between: () => Promise<unknown>): Promise<void> {
    await parts?.stop();
    parts = undefined;
    await between();
    parts = await start();
  }

  /** With the node that runs this, and this stack alone. */
  const ragline = (...args: string[]) =>
    run(process.execPath, [join(import.meta.dirname, '..', '..', 'tools', 'src', 'main.ts'), ...args], {
      env: { ...process.env, RAGLINE_DATA_DIR: dataDir },
    });

  async function write(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, () => randomUUIDv7());
    await query(
      `INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
       SELECT id, $2, id::text, 'order_created', '\\x00', id, '', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
         FROM unnest($1::uuid[]) AS id`,
      [ids, topics.orders.name],
    );
    return ids;
  }

  /** The topic has these events, each once. */
  const arrived = (ids: readonly string[]) =>
    eventually(async () => assert.deepEqual((await held()).sort(), [...ids].sort()), patient);
});
