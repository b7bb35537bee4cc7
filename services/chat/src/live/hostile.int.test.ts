import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createCursorSealer } from '@ragline/streams/cursor';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { type LiveScene, openLiveScene, readEvents, type TestUser } from './live.support.ts';

describe('hostile readers of conversations', function () {
  this.timeout(60_000);
  let scene: LiveScene;
  let who: TestUser;
  let conversation: string;

  before(async () => {
    scene = await openLiveScene({ quotas: { perUser: 100, perTenant: 1_000 }, bytesMax: 300_000 });
    who = await scene.aUser();
    conversation = await scene.open(who);
  });
  after(() => scene?.close());

  const eventsOf = (id: string, query = '') => `${scene.origin}/v1/conversations/${id}/events${query}`;
  const messagesOf = (id: string) => `/v1/conversations/${id}/messages`;

  it("find nothing of another's, neither of the tenant nor of another one", async () => {
    for (const other of [await scene.aUser(), await scene.aUser({ tenant_id: who.tenant_id })]) {
      const { token } = other;
      const body = { content: 'Hello' };
      assert.equal((await scene.http('POST', messagesOf(conversation), { token, body })).status, 404);
      assert.equal(
        (await scene.http('POST', `/v1/conversations/${conversation}/stop`, { token })).status,
        404,
      );
      assert.equal((await readEvents(eventsOf(conversation), { token })).status, 404);
    }
    assert.equal((await readEvents(eventsOf('none'), { token: who.token })).status, 404);
    assert.equal((await readEvents(eventsOf(conversation))).status, 401);
  });

  it('get no page of another origin to read for them', async () => {
    const headers = { origin: 'http://evil.example' };
    const { status } = await readEvents(eventsOf(conversation), { token: who.token, headers });
    assert.equal(status, 403);
  });

  it('are told of a gap for a cursor that is forged, of another conversation, or of another key', async () => {
    const other = scene.live.feed.cursorNow(await scene.open(who)) ?? '';
    const foreign = createCursorSealer({ keys: '1:another-secret-of-tests' }).seal([
      { epoch: 1, next: [1, 2, 0, 0, 0] },
    ]);
    for (const since of ['forged', other, foreign, `${other}A`]) {
      const stream = await readEvents(eventsOf(conversation, `?since=${since}`), { token: who.token });
      await eventually(() => stream.events().length === 1);
      assert.deepEqual(stream.events()[0]?.data, { reason: 'bad_cursor' });
      stream.close();
    }
  });

  it('open one conversation with one key, however often they ask', async () => {
    const headers = { 'idempotency-key': randomUUIDv7() };
    const ask = () => scene.http('POST', '/v1/conversations', { token: who.token, body: {}, headers });
    const [first, second] = [await ask(), await ask()];
    assert.deepEqual([first.status, second.status], [201, 201]);
    assert.equal(second.body.id, first.body.id);
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
  });

  it('cannot ask what is too long, blank, unknown or no JSON', async () => {
    const { token } = who;
    const cases: [body: unknown, status: number][] = [
      [{ content: 'x'.repeat(8_001) }, 422],
      [{ content: ' \n' }, 422],
      [{ content: 'Hello', tenant_id: randomUUIDv7() }, 422],
      [{ content: 'x'.repeat(1_100_000) }, 413],
      [undefined, 400],
    ];
    for (const [body, status] of cases) {
      assert.equal((await scene.http('POST', messagesOf(conversation), { token, body })).status, status);
    }
  });

  it('open a stream with a ticket once, and come back by the cookie of that conversation alone', async () => {
    let tickets = 1;
    const identity = createServer((_req, res) => {
      tickets -= 1;
      res.writeHead(tickets < 0 ? 404 : 200, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ access_token: who.token }));
    });
    await once(identity.listen(0, '127.0.0.1'), 'listening');
    const address = identity.address();
    assert.ok(typeof address === 'object' && address !== null);
    const { origin, metrics } = await scene.instance({ identityUrl: `http://127.0.0.1:${address.port}` });
    const url = (id: string) => `${origin}/v1/conversations/${id}/events`;
    try {
      const first = await readEvents(`${url(conversation)}?ticket=one`);
      assert.equal(first.status, 200);
      assert.match(await metrics.text(), /ragline_chat_readers\{[^}]*\} 1/);
      first.close();
      assert.equal((await readEvents(`${url(conversation)}?ticket=one`)).status, 401);
      const set = first.headers.get('set-cookie') ?? '';
      assert.match(set, /HttpOnly.*/i);
      assert.ok(set.includes(`Path=/v1/conversations/${conversation}/events`));
      const headers = { cookie: set.split(';')[0] ?? '' };
      const again = await readEvents(`${url(conversation)}?since=forged`, { headers });
      assert.equal(again.status, 200);
      await eventually(async () =>
        assert.match(await metrics.text(), /reader_gaps_total\{[^}]*bad_cursor[^}]*\} 1/),
      );
      again.close();
    } finally {
      identity.close();
    }
  });

  it('hold a hundred streams of two hundred, and others are served meanwhile', async () => {
    const greedy = await scene.aUser();
    const id = await scene.open(greedy);
    const streams = await Promise.all(
      Array.from({ length: 200 }, () => readEvents(eventsOf(id), { token: greedy.token })),
    );
    const statuses = Object.groupBy(streams, ({ status }) => status);
    assert.equal(statuses[200]?.length, 100);
    assert.equal(statuses[429]?.length, 100);
    assert.ok(Number(statuses[429]?.[0]?.headers.get('retry-after')) > 0);
    const other = await readEvents(eventsOf(conversation), { token: who.token });
    assert.equal(other.status, 200);
    for (const stream of [...streams, other]) stream.close();
    await eventually(() => assert.equal(scene.live.feed.readers(), 0));
  });

  it('have two conversations read again for them at a time, and others theirs', async () => {
    const quotas = { perUser: 100, perTenant: 1_000, resumesPerUser: 2 };
    const { origin, live } = await scene.instance({ quotas });
    const greedy = await scene.aUser();
    const id = await scene.open(greedy);
    const since = live.feed.cursorNow(id) ?? '';
    const { token } = greedy;
    const asked = { token, body: { content: 'Hello' }, headers: { prefer: 'respond-async' } };
    await scene.http('POST', messagesOf(id), asked);
    const worker = await scene.work(greedy, id);
    // More than may wait for one reader, so that who does not read is not brought up to date.
    await worker.say(...Array.from({ length: 5 }, () => 'x'.repeat(100_000)));
    const whole = await readEvents(`${origin}/v1/conversations/${id}/events?since=${since}`, { token });
    await eventually(() => assert.equal(whole.text().length, 500_000), { withinMs: 20_000 });
    whole.close();
    // It does not count any more once its end was noticed.
    await eventually(() => assert.equal(live.feed.readers(), 0));
    const follow = () => live.feed.read({ ...greedy, conversation_id: id }, { since });
    const [first, second] = [follow(), follow()];
    const url = `${origin}/v1/conversations/${id}/events`;
    const third = await readEvents(`${url}?since=${since}`, { token });
    assert.equal(third.status, 429);
    assert.ok(Number(third.headers.get('retry-after')) > 0);
    const other = await readEvents(`${origin}/v1/conversations/${conversation}/events`, {
      ...{ token: who.token, headers: { 'last-event-id': live.feed.cursorNow(conversation) ?? '' } },
    });
    const now = await readEvents(url, { token });
    assert.deepEqual([other.status, now.status], [200, 200]);
    first.close('closed');
    await eventually(async () => {
      const again = await readEvents(`${url}?since=${since}`, { token });
      again.close();
      assert.equal(again.status, 200);
    });
    for (const stream of [other, now]) stream.close();
    second.close('closed');
    await worker.finish();
  });

  it('are let go when they do not read, and the answer goes on', async () => {
    const slow = await scene.aUser();
    const id = await scene.open(slow);
    const socket = await reading(eventsOf(id), slow.token);
    await eventually(() => scene.live.feed.readers() === 1);
    socket.pause();
    await scene.http('POST', messagesOf(id), {
      ...{ token: slow.token, body: { content: 'Hello' } },
      headers: { prefer: 'respond-async' },
    });
    const worker = await scene.work(slow, id);
    const text = 'x'.repeat(100_000);
    // More than the buffers of the system and of this process take.
    await eventually(
      async () => {
        await worker.say(...Array.from({ length: 10 }, () => text));
        return scene.live.feed.readers() === 0;
      },
      { withinMs: 15_000 },
    );
    await worker.finish();
    socket.destroy();
  });
});

/** A client that begins to read a stream, and may stop to. */
async function reading(url: string, token: string): Promise<Socket> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`);
  await once(socket, 'data');
  return socket;
}
