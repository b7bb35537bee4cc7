import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, it } from 'mocha';
import { exchangeBytes, jsonOf, startFakeService, startTestGateway } from './testing.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A service that keeps streams open, and a gateway before it. */
async function streaming(env: Record<string, string> = {}) {
  const streams: ServerResponse[] = [];
  const service = await startFakeService({
    onRequest: (_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      res.write('event: cursor\nid: 1\ndata: {}\n\n');
      streams.push(res);
    },
  });
  stops.push(service.stop);
  const gateway = await startTestGateway({ notifications: [service.url] }, env);
  stops.push(gateway.stop);
  return { service, gateway, streams };
}

function reading(answer: Response) {
  const reader = answer.body?.getReader();
  return async () => new TextDecoder().decode((await reader?.read())?.value);
}

describe('server-sent events through the gateway', () => {
  it('passes each event at once, with the cookie and the cursor that the client brought', async () => {
    const { gateway, service, streams } = await streaming();
    const answer = await fetch(`${gateway.url}/v1/events/orders`, {
      headers: { 'last-event-id': 'abc', cookie: 'ragline=1' },
    });
    const next = reading(answer);
    assert.equal(answer.headers.get('content-type'), 'text/event-stream');
    assert.match(await next(), /event: cursor/);
    streams[0]?.write('id: 2\ndata: {"a":1}\n\n');
    assert.equal(await next(), 'id: 2\ndata: {"a":1}\n\n');
    assert.equal(service.noted[0]?.headers['last-event-id'], 'abc');
    assert.equal(service.noted[0]?.headers.cookie, 'ragline=1');
  });

  it('are those of a conversation too, on whichever instance is ready', async () => {
    const service = await startFakeService({
      onRequest: (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write('id: 7\ndata: {}\n\n');
      },
    });
    stops.push(service.stop);
    const gateway = await startTestGateway({ chat: [service.url] });
    stops.push(gateway.stop);
    const path = '/v1/conversations/0199d5f0-0000-7000-8000-000000000001/events';
    const next = reading(await fetch(`${gateway.url}${path}`, { headers: { 'last-event-id': 'abc' } }));
    assert.equal(await next(), 'id: 7\ndata: {}\n\n');
    assert.equal(service.noted[0]?.headers['last-event-id'], 'abc');
  });

  it('ends the stream at the service when the client leaves', async () => {
    const { gateway, streams } = await streaming();
    const leaving = new AbortController();
    await fetch(`${gateway.url}/v1/events`, { signal: leaving.signal });
    const closed = new Promise((resolve) => streams[0]?.once('close', resolve));
    leaving.abort();
    await closed;
  });

  it('cuts the client when the service dies', async () => {
    const { gateway, service } = await streaming();
    const next = reading(await fetch(`${gateway.url}/v1/events`));
    await next();
    await Promise.all([assert.rejects(next()), service.stop()]);
  });

  it('holds a stream until an instance is ready', async () => {
    const { gateway, service } = await streaming();
    service.setReady(false);
    while ((await jsonOf(fetch(`${gateway.url}/readyz`))).services.notifications === 'ready');
    const answer = fetch(`${gateway.url}/v1/events/orders`);
    setImmediate(() => service.setReady(true));
    assert.equal((await answer).status, 200);
  });

  it('cuts a stream without an answer when no instance becomes ready in time', async () => {
    const gateway = await startTestGateway({}, { STREAM_HOLD_MS: '50' });
    stops.push(gateway.stop);
    const came = await exchangeBytes(gateway.port, 'GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n');
    assert.equal(came, '');
  });

  it('never passes on that an instance is not ready after all', async () => {
    let asked = 0;
    const service = await startFakeService({
      onRequest: (_req, res) => {
        asked += 1;
        if (asked > 1) res.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\n\n');
        else res.writeHead(503).end();
      },
    });
    stops.push(service.stop);
    const gateway = await startTestGateway({ notifications: [service.url] });
    stops.push(gateway.stop);
    const answer = await fetch(`${gateway.url}/v1/events`);
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  });

  it('asks the one that is left again, when it failed once while the other is down', async () => {
    let asked = 0;
    const service = await startFakeService({
      onRequest: (_req, res) => {
        asked += 1;
        if (asked > 1) res.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\n\n');
        else res.destroy();
      },
    });
    stops.push(service.stop);
    const down = await startFakeService({});
    await down.stop();
    const gateway = await startTestGateway(
      { notifications: [down.url, service.url] },
      { STREAM_HOLD_MS: '5000' },
    );
    stops.push(gateway.stop);
    const answer = await fetch(`${gateway.url}/v1/events`);
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  });

  it('passes a refusal that a client must know, such as 401', async () => {
    const service = await startFakeService({
      onRequest: (_req, res) => res.writeHead(401, { 'content-type': 'application/problem+json' }).end('{}'),
    });
    stops.push(service.stop);
    const gateway = await startTestGateway({ notifications: [service.url] });
    stops.push(gateway.stop);
    assert.equal((await fetch(`${gateway.url}/v1/events`)).status, 401);
  });
});
