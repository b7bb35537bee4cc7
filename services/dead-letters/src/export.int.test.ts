import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import http from 'node:http';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { createPool, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { startTokens } from '../../../tests/support/tokens.ts';
import { addExportRoutes } from './http-export.ts';
import { maskOf, sensitiveHeaders } from './letter-view.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const letters = 20_000;
/** At least: the value, and the value in base64. */
const bytesOfLetter = 1_400;

describe('the export of dead letters', function () {
  this.timeout(120_000);
  let database: Awaited<ReturnType<typeof scratchDatabase>>;
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  let pool: Pool;
  let owner: Pool;
  let server: Awaited<ReturnType<typeof startServer>>;
  const tenant = randomUUIDv7();

  before(async () => {
    database = await scratchDatabase();
    pool = poolOf('ragline_dead_letters', 6, database.name);
    const metrics = createMetrics({ service: 'test' });
    owner = createPool({
      url: database.url,
      max: 2,
      applicationName: 'test-owner',
      statementTimeoutMs: 100_000,
      log,
      metrics,
    });
    tokens = await startTokens();
    const api = createApi({ title: 'test', authentication: createAuthentication(tokens.settings) });
    addExportRoutes(api, { pool, mask: maskOf(sensitiveHeaders), log, atOnceMax: 2 });
    const { app } = createApp({ service: 'test', log, metrics, health: createHealth(), api });
    server = await startServer({ handler: app, port: 0, host: '127.0.0.1', log });
    await keep({ group: 'many', count: letters });
    await keep({ group: 'odd', count: 1, value: Buffer.from('=1+1'), header: '@cmd' });
    await keep({ group: 'own', count: 2, tenant });
  });
  after(async () => {
    await server?.close();
    await tokens?.stop();
    await pool?.end();
    await owner?.end();
    await database?.drop();
  });

  it('has every letter once, newest first', async () => {
    const ids = (await linesOf(await open('?group=many'))).map((line) => JSON.parse(line).id);
    const { rows } = await owner.query<{ id: string }>(
      "SELECT id FROM dead_letters.letter WHERE group_id = 'many' ORDER BY id DESC",
    );
    assert.equal(ids.length, letters);
    assert.deepEqual(
      ids,
      rows.map(({ id }) => id),
    );
  });

  it('writes CSV that no spreadsheet runs, without secrets, as a file to keep', async () => {
    const answer = await open('?group=odd&format=csv');
    assert.match(
      answer.headers['content-disposition'] ?? '',
      /^attachment; filename="dead-letters-[\dTZ-]+\.csv"$/,
    );
    assert.match(answer.headers['content-type'] ?? '', /^text\/csv/);
    const text = await textOf(answer);
    const [head, line] = text.split('\r\n');
    assert.match(head ?? '', /^id,state,group,/);
    assert.ok(line?.includes(",'=1+1,"), line);
    assert.ok(!text.includes('Bearer'));
  });

  it("gives an administrator the tenant's own letters alone", async () => {
    const lines = await linesOf(await open('', { roles: ['admin'], tenant_id: tenant }));
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).group),
      ['own', 'own'],
    );
    assert.equal((await open('', { roles: ['staff'], tenant_id: tenant })).statusCode, 403);
  });

  it('waits for a slow reader, and gives the rest when it reads on', async () => {
    const sockets: Socket[] = [];
    const remember = (socket: Socket) => sockets.push(socket);
    server.server.on('connection', remember);
    const answer = await open('?group=many');
    server.server.off('connection', remember);
    const sent = () => sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
    let [before, still] = [0, 0];
    // The same for twenty looks: what fits into the buffers on the way is there, and nothing more comes.
    await eventually(() => {
      still = sent() === before ? still + 1 : 0;
      before = sent();
      return before > 0 && still >= 20;
    });
    const whole = letters * bytesOfLetter;
    assert.ok(before < whole / 2, `${before} of ${whole} bytes were sent to somebody who does not read`);
    assert.equal((await linesOf(answer)).length, letters);
  });

  it('stops when its reader has gone, and makes room for the next', async () => {
    for (let i = 0; i < 4; i += 1) {
      const answer = await open('?group=many');
      assert.equal(answer.statusCode, 200);
      answer.destroy();
      // Both places would be taken by the third, were they not given back.
      await eventually(async () => {
        const next = await open('?group=odd');
        next.resume();
        return next.statusCode === 200;
      });
    }
    await eventually(() => pool.idleCount === pool.totalCount);
  });

  it('says that too many run, instead of taking one more', async () => {
    const held = [await open('?group=many'), await open('?group=many')];
    for (const answer of held) answer.pause();
    const refused = await open('?group=odd');
    assert.equal(refused.statusCode, 503);
    assert.equal(refused.headers['retry-after'], '30');
    for (const answer of held) answer.destroy();
    await eventually(async () => (await open('?group=odd')).resume().statusCode === 200);
  });

  it('runs once at a time for each user', async () => {
    const claims = { roles: ['operator'], user_id: randomUUIDv7() };
    const held = await open('?group=many', claims);
    held.pause();
    assert.equal((await open('?group=odd', claims)).resume().statusCode, 503);
    assert.equal((await open('?group=odd')).resume().statusCode, 200);
    held.destroy();
    await eventually(async () => (await open('?group=odd', claims)).resume().statusCode === 200);
  });

  async function open(
    query: string,
    claims: { roles: string[]; tenant_id?: string; user_id?: string } = { roles: ['operator'] },
  ): Promise<http.IncomingMessage> {
    const token = await tokens.token(claims);
    return new Promise((resolve, reject) => {
      http
        .get(
          `http://127.0.0.1:${server.port}/v1/dead-letters/export${query}`,
          { headers: { authorization: `Bearer ${token}` }, agent: false },
          resolve,
        )
        .once('error', reject);
    });
  }

  type Letters = { group: string; count: number; value?: Buffer; header?: string; tenant?: string };

  async function keep({ group, count, value = Buffer.alloc(600, 'x'), header = 'x', tenant: of }: Letters) {
    const headers = { authorization: { t: 'Bearer secret' }, note: { t: header } };
    await owner.query(
      `INSERT INTO dead_letters.letter (id, state, group_id, topic, partition, "offset", tenant_id, value, decoded, headers, source,
         dlq_topic, dlq_partition, dlq_offset, fingerprint, fingerprint_parts, attempts, first_failed_at, failed_at, kept_at, updated_at)
       SELECT uuidv7(), 'waiting', $1, 'test', 0, n, $2, $3, to_json(convert_from($3, 'UTF8')), $4, 'ragline', 'test.dlq', 0, 0, 'f',
              '{}', 1, now(), now(), now(), now()
         FROM generate_series(1, $5) n`,
      [group, of ?? null, value, headers, count],
    );
  }
});

async function textOf(answer: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function linesOf(answer: http.IncomingMessage): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: answer })) lines.push(line);
  return lines;
}
