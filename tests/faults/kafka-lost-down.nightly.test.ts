/** Kafka's disk is lost while nothing runs; the next start finds that out by itself. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topics } from '@ragline/schemas/topics';
import { after, before, describe, it } from 'mocha';
import type { ProgressEvent } from '../../infra/local/progress.ts';
import { removeData } from '../../infra/local/remove-data.ts';
import { type Stack, startStack } from '../../infra/local/start-stack.ts';
import { eventually } from '../support/eventually.ts';
import { bareOutbox } from './bare-outbox.ts';

const key = randomUUIDv7();

describe('a Kafka that lost its disk while nothing ran', function () {
  this.timeout(600_000);
  let dataDir: string;
  let stack: Stack | undefined;
  let told: ProgressEvent[] = [];
  const { query, held } = bareOutbox(() => stack);
  before(async () => {
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'lost-'));
    await start();
  });
  after(async () => {
    await stop();
    await removeData(dataDir);
  });

  it('has every event again in its order after the next start, which says so, and what comes then behind them', async () => {
    const before = await write(30);
    await arrived(before);
    await stop();
    await rm(join(dataDir, 'kafka'), { recursive: true });
    await start();
    assert.match(warning() ?? '', /^Kafka had lost what it held: \d+ events were written again/);
    await arrived([...before, ...(await write(3))]);
  });

  it('is not said of a start at which nothing was lost', async () => {
    await stop();
    await start();
    assert.equal(warning(), undefined);
  });

  it('is gone on with where that start died in the middle', async () => {
    const before = await held();
    await query(`UPDATE streams.rebuild SET unfinished = ''`);
    await stop();
    await start();
    assert.match(warning() ?? '', / 0 events were written again/);
    assert.deepEqual(await query('SELECT unfinished FROM streams.rebuild'), [{ unfinished: null }]);
    await arrived([...before, ...(await write(2))]);
  });

  it('is left to whoever had begun to make topics anew by hand', async () => {
    await query(`UPDATE streams.rebuild SET unfinished = '--restored'`);
    await stop();
    await assert.rejects(start(), /npx ragline streams rebuild --restored --yes/);
  });

  async function start(): Promise<void> {
    told = [];
    const onProgress = (event: ProgressEvent) => told.push(event);
    stack = await startStack({ dataDir, ports: 'free', partsOnly: true, onProgress });
  }

  async function stop(): Promise<void> {
    await stack?.stop();
    stack = undefined;
  }

  const warning = () => told.find(({ item, state }) => item === 'lost events' && state === 'warning')?.text;

  /** Events of one order, one after the other; their ids. */
  async function write(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, () => randomUUIDv7());
    for (const id of ids) {
      await query(
        `INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
         VALUES ($1, $2, $3::text, 'order_created', '\\x00', ($3::text)::uuid, '', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')`,
        [id, topics.orders.name, key],
      );
    }
    return ids;
  }

  /** The topic has these events, each once, in this order. */
  const arrived = (ids: readonly (string | null)[]) =>
    eventually(async () => assert.deepEqual(await held(), ids), { withinMs: 120_000, everyMs: 500 });
});
