import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import { createHealth } from '@ragline/runtime/health';
import { createCodec } from '@ragline/schemas/codec';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { after, before, beforeEach, describe, it } from 'mocha';
import { type Http, httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import { startTokens } from '../../../tests/support/tokens.ts';
import { addToolRoutes } from './http-tools.ts';
import { aConversation, type Conversation, callerIn, type Desk, openDesk } from './tools/tools.support.ts';
import { createTurnRequests } from './turn/requests.ts';

describe('tools and approvals over HTTP', function () {
  this.timeout(60_000);
  let pool: Pool;
  let desk: Desk;
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  let server: Awaited<ReturnType<typeof startServer>>;
  let http: Http;
  let mine: Conversation;
  let dish: string;

  before(async () => {
    pool = poolOf('ragline_chat', 4);
    desk = await openDesk({ pool });
    tokens = await startTokens();
    const { log, metrics, registry } = desk;
    const api = createApi({ title: 'test', authentication: createAuthentication({ ...tokens.settings }) });
    const codec = createCodec({ registryUrl: stack().registryUrl });
    const { requestApproval } = await createTurnRequests(codec, { openTurnsMax: 10 });
    addToolRoutes(api, { pool, registry, requestApproval });
    const { app } = createApp({ service: 'chat', log, metrics, health: createHealth(), api });
    server = await startServer({ handler: app, port: 0, host: '127.0.0.1', log });
    http = httpTo(`http://127.0.0.1:${server.port}`);
  });
  after(async () => {
    await server?.close();
    await tokens?.stop();
    await desk?.stop();
    await pool?.end();
  });
  beforeEach(async () => {
    mine = await aConversation(pool);
    dish = randomUUIDv7();
    desk.fake.price(dish, 950);
  });

  const tokenOf = (fields: { user_id?: string; roles?: string[] } = {}) =>
    tokens.token({ ...mine, ...fields });
  const askFor = async () => {
    const args = JSON.stringify({ items: [{ product_id: dish, quantity: 1 }] });
    const outcome = await desk.registry.call({ id: '1', name: 'confirm', arguments: args }, callerIn(mine));
    assert.ok(outcome.ok && outcome.approval);
    return `/v1/conversations/${mine.conversation_id}/approvals/${outcome.approval.approval_id}`;
  };
  const turns = async () => {
    const { rows } = await inTenant(pool, mine.tenant_id, (client) =>
      client.query<{ id: string; answer_id: string; kind: string }>(
        'SELECT id, answer_id, kind FROM chat.turn WHERE conversation_id = $1',
        [mine.conversation_id],
      ),
    );
    return rows;
  };

  it('list all tools to staff, and are switched by an admin for the tenant', async () => {
    const admin = await tokenOf({ roles: ['admin'] });
    const { status, body } = await http('GET', '/v1/tools', { token: admin });
    assert.equal(status, 200);
    assert.deepEqual([body.data.length, body.next_cursor], [7, null]);
    const names = [];
    for (let cursor = ''; ; ) {
      const page = (await http('GET', `/v1/tools?limit=3${cursor}`, { token: admin })).body;
      names.push(...page.data.map(({ name }: { name: string }) => name));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    assert.deepEqual(
      names,
      body.data.map(({ name }: { name: string }) => name),
    );
    const confirm = body.data.find(({ name }: { name: string }) => name === 'confirm');
    assert.deepEqual([confirm.effect, confirm.enabled, confirm.parameters.type], ['write', true, 'object']);
    const off = await http('PATCH', '/v1/tools/confirm', { token: admin, body: { enabled: false } });
    assert.deepEqual([off.status, off.body.enabled], [200, false]);
    const specs = await desk.registry.specs(mine.tenant_id, ['customer']);
    assert.ok(!specs.some(({ name }) => name === 'confirm'));
    assert.equal(
      (await http('PATCH', '/v1/tools/nothing', { token: admin, body: { enabled: true } })).status,
      404,
    );
    assert.equal(
      (await http('PATCH', '/v1/tools/confirm', { token: admin, body: { on: true } })).status,
      422,
    );
    const staff = await tokenOf({ roles: ['staff'] });
    assert.equal((await http('GET', '/v1/tools', { token: staff })).status, 200);
    assert.equal(
      (await http('PATCH', '/v1/tools/confirm', { token: staff, body: { enabled: true } })).status,
      403,
    );
    assert.equal((await http('GET', '/v1/tools', { token: await tokenOf() })).status, 403);
  });

  it('take a decision once: the same again is the same answer and the same turn', async () => {
    const path = await askFor();
    const token = await tokenOf();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => http('POST', path, { token, body: { decision: 'approve' } })),
    );
    const [first] = answers;
    for (const { status, body } of answers) {
      assert.equal(status, 202);
      assert.deepEqual(body, first?.body);
    }
    const [turn, ...others] = await turns();
    assert.deepEqual(others, []);
    assert.deepEqual(
      [turn?.kind, turn?.id, turn?.answer_id],
      ['approval', first?.body.turn_id, first?.body.message_id],
    );
    const other = await http('POST', path, { token, body: { decision: 'reject' } });
    assert.deepEqual([other.status, other.body.code], [409, 'already_handled']);
  });

  it('take two decisions at the same moment for one of them', async () => {
    const path = await askFor();
    const token = await tokenOf();
    const answers = await Promise.all(
      ['approve', 'reject', 'approve', 'reject'].map((decision) =>
        http('POST', path, { token, body: { decision } }),
      ),
    );
    const taken = answers.filter(({ status }) => status === 202);
    assert.equal(new Set(taken.map(({ body }) => body.decision)).size, 1);
    for (const { status, body } of answers) if (status !== 202) assert.equal(body.code, 'already_handled');
    assert.equal((await turns()).length, 1);
  });

  it('are shown with their quote, without its token, to a page that comes back', async () => {
    const path = await askFor();
    const token = await tokenOf();
    const waiting = await http('GET', path, { token });
    assert.deepEqual(
      [waiting.status, waiting.body.state, waiting.body.quote.total, waiting.body.quote.notes],
      [200, 'pending', 950, null],
    );
    assert.ok(!waiting.text.includes('quote_token'));
    await http('POST', path, { token, body: { decision: 'reject' } });
    assert.equal((await http('GET', path, { token })).body.state, 'rejected');
    const stranger = await tokenOf({ user_id: randomUUID(), roles: ['admin'] });
    assert.equal((await http('GET', path, { token: stranger })).status, 404);
  });

  it('are nobody’s but the customer’s, and say when it is too late', async () => {
    const path = await askFor();
    const body = { decision: 'approve' };
    for (const fields of [{ user_id: randomUUID() }, { user_id: randomUUID(), roles: ['admin'] }]) {
      const { status } = await http('POST', path, { token: await tokenOf(fields), body });
      assert.equal(status, 404);
    }
    assert.equal((await http('POST', path, { token: await tokens.token(), body })).status, 404);
    assert.equal((await http('POST', path, { body })).status, 401);
    const token = await tokenOf();
    assert.equal((await http('POST', path.replace(/[^/]+$/, 'x'), { token, body })).status, 404);
    assert.equal((await http('POST', path.replace(/[^/]+$/, randomUUID()), { token, body })).status, 404);
    assert.equal((await http('POST', path, { token, body: { decision: 'perhaps' } })).status, 422);
    await inTenant(pool, mine.tenant_id, (client) =>
      client.query('UPDATE chat.approval SET expires_at = now() WHERE conversation_id = $1', [
        mine.conversation_id,
      ]),
    );
    for (const _ of ['first', 'again']) {
      const late = await http('POST', path, { token, body });
      assert.deepEqual([late.status, late.body.code], [409, 'conflict']);
      assert.match(late.body.detail, /expired/);
    }
    assert.deepEqual(await turns(), []);
  });
});
