import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { EventSource } from 'eventsource';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { connect, fakeIdentity, type Scene, startScene } from './live.scene.ts';

describe('server-sent events', function () {
  this.timeout(60_000);
  let scene: Scene;
  let one: Awaited<ReturnType<Scene['instance']>>;
  const identity = fakeIdentity();

  before(async () => {
    scene = await startScene();
    one = await scene.instance({ heartbeatMs: 500, identityUrl: await identity.start() });
  });
  after(async () => {
    await scene.stop();
    await identity.stop();
  });

  const urlOf = (port: number, path: string) => `http://127.0.0.1:${port}${path}`;

  it('stream orders with a cursor first, and the same object as a socket', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const stream = await open(
      urlOf(one.port, '/v1/events/orders'),
      await scene.token({ tenant_id: tenant, user_id: user }),
    );
    assert.equal(stream.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.equal(stream.headers.get('set-cookie'), null);
    await stream.until(/^retry: \d+$/m);
    await stream.until(/^id: [\w-]+\nevent: cursor\ndata: \{\}$/m);
    const event = await scene.order({ tenant, user });
    await stream.until(new RegExp(`"id":"${event.event_id}"`));
    const block =
      stream
        .text()
        .split('\n\n')
        .find((it) => it.includes(event.event_id)) ?? '';
    const [id, type, data] = block.split('\n');
    const message = JSON.parse(data?.slice('data: '.length) ?? '');
    assert.equal(type, 'event: order_created');
    assert.deepEqual(message.data, event);
    assert.equal(id, `id: ${message.cursor}`);
    stream.close();
  });

  it('are resumed by an EventSource after a restart, every event once', async () => {
    const [tenant, user, order] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const token = await scene.token({ tenant_id: tenant, user_id: user });
    const first = await scene.instance();
    const second = await scene.instance();
    let { port } = first;
    // What a gateway does: the same address, another instance.
    const source = new EventSource(urlOf(first.port, '/v1/events/orders'), {
      fetch: (url, init) => {
        const to = new URL(url);
        to.port = String(port);
        return fetch(to, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
      },
    });
    const seen: string[] = [];
    let cursors = 0;
    source.addEventListener('order_created', ({ data }) => void seen.push(JSON.parse(data).id));
    source.addEventListener('cursor', () => {
      cursors += 1;
    });
    try {
      await eventually(() => cursors > 0);
      const owed = [(await scene.order({ tenant, user, order })).event_id];
      await eventually(() => assert.deepEqual(seen, owed));
      port = second.port;
      const stopping = first.stop();
      for (let i = 0; i < 20; i += 1) owed.push((await scene.order({ tenant, user, order })).event_id);
      await stopping;
      await eventually(() => assert.deepEqual(seen, owed), { withinMs: 20_000 });
    } finally {
      source.close();
    }
    await second.stop();
  });

  it('set a cookie for a ticket, which then stands in for the used ticket', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const ticket = identity.ticketFor(await scene.token({ tenant_id: tenant, user_id: user }));
    const path = `/v1/events?channel=orders&ticket=${ticket}`;
    const stream = await open(urlOf(one.port, path), undefined);
    const cookie = stream.headers.get('set-cookie') ?? '';
    assert.match(
      cookie,
      /^ragline_events=[\w.-]+; Path=\/v1\/events; Max-Age=\d+; HttpOnly; SameSite=Strict$/,
    );
    stream.close();
    assert.equal((await fetch(urlOf(one.port, path))).status, 401);
    const again = await open(urlOf(one.port, path), undefined, { cookie: cookie.split(';')[0] ?? '' });
    const event = await scene.order({ tenant, user });
    await again.until(new RegExp(event.event_id));
    again.close();
    const secure = identity.ticketFor(await scene.token({}));
    const tls = await open(urlOf(one.port, `/v1/events?channel=orders&ticket=${secure}`), undefined, {
      'x-forwarded-proto': 'https',
    });
    assert.match(tls.headers.get('set-cookie') ?? '', /; Secure$/);
    tls.close();
  });

  it('carry several channels, each event once, and resume all of them from one id', async () => {
    const [tenant, user, order] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const token = await scene.token({ tenant_id: tenant, user_id: user });
    const path = `/v1/events?channel=orders&channel=notifications&channel=orders:${order}`;
    const stream = await open(urlOf(one.port, path), token);
    await stream.until(/event: cursor/);
    const start = /^id: ([\w-]+)/m.exec(stream.text())?.[1] ?? '';
    const events = [
      await scene.order({ tenant, user, order }),
      await scene.notification({ tenant, user }),
      await scene.order({ tenant, user, order }),
      await scene.notification({ tenant, user }),
    ].map((it) => it.event_id);
    for (const id of events) await stream.until(new RegExp(`"id":"${id}"`));
    assert.equal(stream.text().split('"type":"event"').length - 1, events.length);
    stream.close();
    const resumed = await open(urlOf(one.port, path), token, { 'last-event-id': start });
    await resumed.until(/event: recovered/);
    for (const id of events) await resumed.until(new RegExp(`"id":"${id}"`));
    assert.equal(resumed.text().split('"type":"event"').length - 1, events.length);
    resumed.close();
  });

  it('tell a gap, and go on, when the id is none of ours', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const token = await scene.token({ tenant_id: tenant, user_id: user });
    const stream = await open(urlOf(one.port, '/v1/events/orders'), token, { 'last-event-id': 'nonsense' });
    await stream.until(/event: gap\ndata: .*bad_cursor/);
    const event = await scene.order({ tenant, user });
    await stream.until(new RegExp(event.event_id));
    stream.close();
  });

  it('answer with problems what cannot be streamed', async () => {
    const token = await scene.token({});
    const authorization = `Bearer ${token}`;
    const cases: [path: string, init: RequestInit, status: number, code: string][] = [
      ['/v1/events/orders', {}, 401, 'unauthenticated'],
      ['/v1/events/orders', { headers: { authorization: 'Bearer x.y.z' } }, 401, 'unauthenticated'],
      ['/v1/events', { headers: { authorization } }, 400, 'malformed'],
      ['/v1/events?channel=nothing', { headers: { authorization } }, 404, 'not_found'],
      ['/v1/events/orders', { method: 'POST', headers: { authorization } }, 405, 'method_not_allowed'],
      ['/v1/events/orders', { headers: { authorization, origin: 'https://evil.example' } }, 403, 'forbidden'],
    ];
    for (const [path, init, status, code] of cases) {
      const answer = await fetch(urlOf(one.port, path), init);
      assert.equal(answer.status, status, path);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
      const problem: { code?: string } = JSON.parse(await answer.text());
      assert.equal(problem.code, code);
    }
  });

  it('are cut, not refused, while the instance is not ready', async () => {
    const dark = await scene.instance(
      { holdMs: 300, kafka: { brokers: ['127.0.0.1:9'] } },
      { isReady: false },
    );
    const headers = { authorization: `Bearer ${await scene.token({})}` };
    await assert.rejects(fetch(urlOf(dark.port, '/v1/events/orders'), { headers }));
    await assert.rejects(connect(dark.port, await scene.token({})), { status: 503 });
    await dark.stop();
  });
});

async function open(url: string, token: string | undefined, headers: Record<string, string> = {}) {
  const stopping = new AbortController();
  const answer = await fetch(url, {
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    signal: stopping.signal,
  });
  assert.equal(answer.status, 200, `${answer.status} for ${url}`);
  let text = '';
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) text += decoder.decode(chunk, { stream: true });
  })().catch(() => {});
  return {
    headers: answer.headers,
    text: () => text,
    until: (pattern: RegExp) => eventually(() => assert.match(text, pattern)),
    close: () => stopping.abort(),
  };
}
