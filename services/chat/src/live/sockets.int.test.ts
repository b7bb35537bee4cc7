import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { createCodec } from '@ragline/schemas/codec';
import { after, before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { eventually } from '../../../../tests/support/eventually.ts';
import { stack } from '../../../../tests/support/stack.ts';
import { type LiveScene, openLiveScene } from './live.support.ts';

describe('/ws/chat', function () {
  this.timeout(60_000);
  let scene: LiveScene;

  before(async () => {
    scene = await openLiveScene();
  });
  after(() => scene?.close());

  type Said = { type: string } & Record<string, unknown>;

  async function connect(token: string, origin = scene.origin) {
    const ws = new WebSocket(`${origin.replace('http', 'ws')}/ws/chat`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const told: Said[] = [];
    ws.on('message', (data) => told.push(JSON.parse(String(data))));
    const closed = once(ws, 'close').then(([code]: number[]) => code);
    ws.on('error', () => {});
    await once(ws, 'open');
    return {
      ws,
      told,
      closed,
      say: (message: object) => ws.send(JSON.stringify(message)),
      of: (type: string) => told.filter((it) => it.type === type),
      answerTo: (id: number) =>
        eventually(() => {
          const found = told.find((it) => it.id === id && it.type !== 'event');
          assert.ok(found);
          return found;
        }),
    };
  }

  it('takes a question and gives the answer as events, with cursors that another socket goes on from', async () => {
    const who = await scene.aUser();
    const conversation_id = await scene.open(who);
    const one = await connect(who.token);
    one.say({ type: 'message', id: 1, conversation_id, content: 'Are you open?' });
    const ok = await one.answerTo(1);
    assert.equal(ok.type, 'ok');
    const worker = await scene.work(who, conversation_id);
    await worker.say('Yes, ');
    await eventually(() => one.of('event').length === 1);
    const [first] = one.of('event');
    assert.equal(first?.channel, `conversation:${conversation_id}`);
    assert.equal(first.event_type, 'message_delta');
    assert.equal((first.data as { text: string }).text, 'Yes, ');
    one.ws.close();
    await worker.say('until ten.');
    await worker.finish();
    const two = await connect(who.token, (await scene.instance()).origin);
    two.say({ type: 'subscribe', id: 'a', conversation_id, since: first.cursor });
    await eventually(() => two.of('event').length === 2);
    const types = two.of('event').map(({ event_type }) => event_type);
    assert.deepEqual(types, ['message_delta', 'message_completed']);
    two.ws.close();
  });

  it("refuses another user's conversation, one that is none, and a question that is blank, and stays open", async () => {
    const who = await scene.aUser();
    const others = await scene.open(await scene.aUser({ tenant_id: who.tenant_id }));
    const own = await scene.open(who);
    const socket = await connect(who.token);
    socket.say({ type: 'message', id: 1, conversation_id: others, content: 'Hello' });
    socket.say({ type: 'subscribe', id: 2, conversation_id: others });
    socket.say({ type: 'stop', id: 3, conversation_id: others });
    socket.say({ type: 'message', id: 4, conversation_id: 'none', content: 'Hello' });
    socket.say({ type: 'message', id: 5, conversation_id: own, content: '  ' });
    socket.say({ type: 'ping', id: 6 });
    await socket.answerTo(6);
    const codes = socket.told.filter(({ id }) => id !== undefined).map(({ code, type }) => code ?? type);
    assert.deepEqual(codes, ['not_found', 'not_found', 'not_found', 'not_found', 'invalid', 'ok']);
    socket.ws.close();
  });

  it('closes what is malformed, oversize, or too much', async () => {
    const { token } = await scene.aUser();
    const cases: [name: string, say: (ws: WebSocket) => void, code: number][] = [
      ['no JSON', (ws) => ws.send('{'), 4400],
      ['an unknown type', (ws) => ws.send('{"type":"sing","id":1}'), 4400],
      ['bytes', (ws) => ws.send(Buffer.from('{}')), 4400],
      ['a frame beyond 64 KiB', (ws) => ws.send('x'.repeat(66_000)), 4400],
      [
        'a flood',
        (ws) => {
          for (let i = 0; i < 400; i += 1) ws.send(`{"type":"ping","id":${i}}`);
        },
        4429,
      ],
    ];
    for (const [name, say, code] of cases) {
      const socket = await connect(token);
      say(socket.ws);
      assert.equal(await socket.closed, code, name);
    }
  });

  it('ends with its token, and at once when that is revoked', async () => {
    const brief = await scene.aUser({ lastsMs: 2_000 });
    const socket = await connect(brief.token);
    assert.equal(await socket.closed, 4401);
    const who = await scene.aUser();
    const revoked = await connect(who.token);
    const encode = await createCodec({ registryUrl: stack().registryUrl }).encoder('revocation_v1');
    const occurred_at = new Date(Date.now() + 1_000).toISOString();
    const value = encode({
      ...{ event_id: randomUUIDv7(), event_type: 'user_revoked', occurred_at, tenant_id: who.tenant_id },
      ...{ user_id: who.user_id, session_id: null },
      valid_until: new Date(Date.now() + 60_000).toISOString(),
    });
    await scene.revoke(value, who.user_id);
    assert.equal(await revoked.closed, 4401);
    const again = new WebSocket(`${scene.origin.replace('http', 'ws')}/ws/chat`, {
      headers: { authorization: `Bearer ${who.token}` },
    });
    again.on('error', () => {});
    const [, answer] = await once(again, 'unexpected-response');
    assert.equal(answer.statusCode, 401);
  });
});
