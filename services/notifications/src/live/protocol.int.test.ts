import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { eventually } from '../../../../tests/support/eventually.ts';
import { connect, fakeIdentity, RefusedUpgrade, type Scene, startScene } from './live.scene.ts';

const heartbeatMs = 400;

describe('the socket protocol', function () {
  this.timeout(60_000);
  let scene: Scene;
  let port: number;
  let metricsText: () => Promise<string>;
  const identity = fakeIdentity();
  const read: string[] = [];

  before(async () => {
    scene = await startScene();
    const instance = await scene.instance({
      heartbeatMs,
      identityUrl: await identity.start(),
      slowMs: 1_500,
      quotas: { connectionsPerTenant: 1_000, connectionsPerUser: 3 },
      markRead: async ({ user_id }, id) => {
        read.push(`${user_id} ${id}`);
        return id.startsWith('0') ? 'read' : 'not_found';
      },
    });
    port = instance.port;
    metricsText = instance.metrics.text;
  });
  after(async () => {
    await scene.stop();
    await identity.stop();
  });

  it('welcomes, answers pings, and sends a cursor with each heartbeat', async () => {
    const client = await connect(port, await scene.token({}));
    const welcome = await client.message((it) => it.type === 'welcome');
    assert.equal(welcome.heartbeat_ms, heartbeatMs);
    assert.equal(welcome.max_bytes, 65_536);
    client.send({ type: 'ping', id: 7 });
    await client.message((it) => it.type === 'ok' && it.id === 7);
    assert.equal((await client.subscribe('orders')).type, 'ok');
    await eventually(() => client.messages.filter((it) => it.type === 'cursor').length >= 3);
    await client.close();
  });

  it('takes a bearer token as sub-protocol, and a ticket once', async () => {
    const token = await scene.token({});
    const protocols = ['ragline.v1.json', `ragline.bearer.${token}`];
    const client = await connect(port, undefined, { protocols });
    assert.equal(client.ws.protocol, 'ragline.v1.json');
    await client.close();
    const ticket = identity.ticketFor(token);
    await (await connect(port, undefined, { path: `/ws?ticket=${ticket}` })).close();
    await assert.rejects(connect(port, undefined, { path: `/ws?ticket=${ticket}` }), { status: 401 });
  });

  it('refuses before the upgrade who has no valid token, with a problem', async () => {
    const expired = await scene.token({ issuedAt: Date.now() - 3_600_000, lastsMs: 1_000 });
    for (const token of [undefined, 'x', `${await scene.token({})}x`, expired]) {
      await assert.rejects(connect(port, token), (error: unknown) => {
        assert.ok(error instanceof RefusedUpgrade);
        assert.equal(error.status, 401);
        assert.equal(error.headers['content-type'], 'application/problem+json');
        assert.equal(JSON.parse(error.body).code, 'unauthenticated');
        return true;
      });
    }
  });

  it('lets only pages of listed origins connect', async () => {
    const token = await scene.token({});
    await assert.rejects(connect(port, token, { origin: 'https://evil.example' }), { status: 403 });
    await assert.rejects(connect(port, token, { origin: 'null' }), { status: 403 });
    await (await connect(port, token, { origin: 'http://localhost:8080' })).close();
    await assert.rejects(connect(port, token, { path: '/ws/others' }), { status: 404 });
  });

  it('closes with 4400 whatever is no message, and nobody else suffers', async () => {
    const bystander = await connect(port, await scene.token({}));
    const bad: (string | Buffer)[] = [
      Buffer.from([1, 2, 3]),
      'not json',
      '',
      '[]',
      'null',
      '"text"',
      '{}',
      '{"type":"unheard of","id":1}',
      '{"type":"ping"}',
      '{"type":"ping","id":{}}',
      '{"type":"subscribe","id":1}',
      '{"type":"subscribe","id":1,"channel":5}',
      '{"type":"subscribe","id":1,"channel":"orders","since":5}',
      JSON.stringify({ type: 'ping', id: 'x'.repeat(70_000) }),
      '['.repeat(50_000),
    ];
    for (const frame of bad) {
      const client = await connect(port, await scene.token({}));
      client.ws.send(frame);
      assert.equal(await client.closed, 4400, `after ${String(frame).slice(0, 60)}`);
    }
    bystander.send({ type: 'ping', id: 'still here' });
    await bystander.message((it) => it.id === 'still here');
    await bystander.close();
  });

  it('closes with 4400 what is no frame at all', async () => {
    // A reserved bit, a text that is no UTF-8, an unmasked frame, a length of 2^62.
    const frames = ['f1810000000000', '818200000000fffe', '8101ff', '81ff400000000000000000000000'];
    for (const hex of frames) {
      const client = await connect(port, await scene.token({}));
      // Under the client's own framing, which would make it right.
      const raw = Reflect.get(client.ws, '_socket');
      raw.write(Buffer.from(hex, 'hex'));
      assert.equal(await client.closed, 4400, hex);
    }
  });

  it('closes with 4429 who floods it, and who opens too many connections', async () => {
    const client = await connect(port, await scene.token({}));
    for (let i = 0; i < 1_000; i += 1) client.send({ type: 'ping', id: i });
    assert.equal(await client.closed, 4429);
    const token = await scene.token({});
    const open = [await connect(port, token), await connect(port, token), await connect(port, token)];
    assert.equal(await (await connect(port, token)).closed, 4429);
    await open[0]?.close();
    const again = await eventually(async () => {
      const next = await connect(port, token);
      next.send({ type: 'ping', id: 1 });
      await Promise.race([
        next.message((it) => it.type === 'ok'),
        next.closed.then(() => Promise.reject(new Error())),
      ]);
      return next;
    });
    for (const it of [open[1], open[2], again]) await it?.close();
  });

  it('answers with an error what one may not have, and the connection stays', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const event = await scene.order({ tenant, user });
    const own = await connect(port, await scene.token({ tenant_id: tenant, user_id: user }));
    const other = await connect(port, await scene.token({ tenant_id: tenant }));
    const channel = `orders:${event.order.id}`;
    await eventually(async () => assert.equal((await other.subscribe(channel)).code, 'not_found'));
    assert.equal((await own.subscribe(channel)).type, 'ok');
    for (const name of [
      'nothing',
      'orders:',
      'orders:x',
      'conversation:1',
      `conversation:${'x'.repeat(36)}`,
      'ORDERS',
      `orders:${'x'.repeat(36)}`,
    ]) {
      assert.equal((await own.subscribe(name)).code, 'not_found', name);
    }
    for (const cursor of ['', 'x', 'A'.repeat(104), `${own.cursor(channel)}A`]) {
      assert.equal((await own.subscribe('orders', cursor)).code, 'malformed', cursor);
    }
    own.send({ type: 'unsubscribe', id: 'u', channel: 'orders' });
    assert.equal((await own.message((it) => it.id === 'u')).code, 'not_found');
    own.send({ type: 'unsubscribe', id: 'u2', channel });
    assert.equal((await own.message((it) => it.id === 'u2')).type, 'ok');
    await Promise.all([own.close(), other.close()]);
  });

  it('takes 200 subscriptions a connection and no more', async () => {
    const client = await connect(port, await scene.token({ roles: ['staff'] }));
    for (let i = 0; i < 201; i += 1)
      client.send({ type: 'subscribe', id: i, channel: `orders:${randomUUID()}` });
    assert.equal((await client.message((it) => it.id === 200)).code, 'too_many');
    assert.equal((await client.message((it) => it.id === 199)).type, 'ok');
    await client.close();
  });

  it('marks notifications as read', async () => {
    const user = randomUUIDv7();
    const client = await connect(port, await scene.token({ user_id: user }));
    const id = randomUUIDv7();
    client.send({ type: 'read', id: 1, notification_id: id });
    assert.equal((await client.message((it) => it.id === 1)).type, 'ok');
    assert.deepEqual(read.at(-1), `${user} ${id}`);
    client.send({ type: 'read', id: 2, notification_id: `f${randomUUID().slice(1)}` });
    assert.equal((await client.message((it) => it.id === 2)).code, 'not_found');
    client.send({ type: 'read', id: 3, notification_id: 'no id' });
    assert.equal((await client.message((it) => it.id === 3)).code, 'not_found');
    await client.close();
  });

  it('warns before a token ends, takes a new one of the same user, and closes with 4401 without', async () => {
    const who = { tenant_id: randomUUID(), user_id: randomUUIDv7() };
    const short = () => scene.token({ ...who, lastsMs: 3_000 });
    const [renewed, left] = [await connect(port, await short()), await connect(port, await short())];
    await renewed.message((it) => it.type === 'auth_expiring');
    renewed.send({ type: 'auth', id: 'foreign', token: await scene.token({}) });
    assert.equal((await renewed.message((it) => it.id === 'foreign')).code, 'forbidden');
    renewed.send({ type: 'auth', id: 'bad', token: 'nonsense' });
    assert.equal((await renewed.message((it) => it.id === 'bad')).code, 'unauthenticated');
    renewed.send({ type: 'auth', id: 'good', token: await scene.token(who) });
    assert.equal((await renewed.message((it) => it.id === 'good')).type, 'ok');
    assert.equal(await left.closed, 4401);
    assert.equal(renewed.ws.readyState, WebSocket.OPEN);
    await renewed.close();
  });

  it('shows what the new token allows, and no longer what the old one did', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const who = { tenant_id: tenant, user_id: user };
    const client = await connect(port, await scene.token({ ...who, roles: ['staff'] }), {
      path: '/ws/orders',
    });
    await client.message((it) => it.type === 'cursor');
    const seen = await scene.order({ tenant, user: randomUUID() });
    await client.message((it) => it.id === seen.event_id);
    client.send({ type: 'auth', id: 1, token: await scene.token({ ...who, roles: ['customer'] }) });
    await client.message((it) => it.type === 'ok');
    await scene.order({ tenant, user: randomUUID() });
    const own = await scene.order({ tenant, user });
    await client.message((it) => it.id === own.event_id);
    await scene.order({ tenant, user: randomUUID() });
    const last = await scene.order({ tenant, user });
    await client.message((it) => it.id === last.event_id);
    assert.deepEqual(client.events(), [seen.event_id, own.event_id, last.event_id]);
    await client.close();
  });

  it('closes with 4408 who answers no heartbeat', async () => {
    const client = await connect(port, await scene.token({}));
    client.ws.pong = () => {};
    Reflect.set(client.ws, '_autoPong', false);
    assert.equal(await client.closed, 4408);
  });

  it('feeds a slow reader at its own pace, once each and in order', async () => {
    const [tenant, user, order] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const patient = await scene.instance({ slowMs: 60_000 });
    const slow = await connect(patient.port, await scene.token({ tenant_id: tenant, user_id: user }), {
      path: '/ws/orders',
    });
    await slow.message((it) => it.type === 'cursor');
    slow.ws.pause();
    const owed: string[] = [];
    for (let i = 0; i < 40; i += 1) owed.push((await scene.largeOrder({ tenant, user, order })).event_id);
    await eventually(async () => assert.match(await patient.metrics.text(), /fell_behind_total\{[^}]*\} 1/));
    slow.ws.resume();
    await eventually(() => assert.deepEqual(slow.events(), owed), { withinMs: 20_000 });
    await slow.close();
    await patient.stop();
  });

  it('cuts with 4409 who reads nothing, and its cursor brings the rest', async () => {
    const [tenant, user, order] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const token = await scene.token({ tenant_id: tenant, user_id: user });
    const stuck = await connect(port, token, { path: '/ws/orders' });
    await stuck.message((it) => it.type === 'cursor');
    stuck.ws.pause();
    const owed: string[] = [];
    for (let i = 0; i < 40; i += 1) owed.push((await scene.largeOrder({ tenant, user, order })).event_id);
    await eventually(
      async () => assert.match(await metricsText(), /closes_total\{reason="tooSlow".* [1-9]/),
      {
        withinMs: 20_000,
      },
    );
    stuck.ws.resume();
    assert.equal(await stuck.closed, 4409);
    const seen = stuck.events();
    assert.deepEqual(seen, owed.slice(0, seen.length));
    const back = await connect(port, token);
    await back.subscribe('orders', stuck.cursor('orders'));
    await eventually(() => assert.deepEqual([...seen, ...back.events()], owed), { withinMs: 20_000 });
    await back.close();
  });
});
