import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import net from 'node:net';
import { afterEach, describe, it } from 'mocha';
import { exchangeBytes, jsonOf, startFakeService, startTestGateway } from './testing.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function gatewayWith(
  services: Parameters<typeof startTestGateway>[0],
  env: Record<string, string> = {},
) {
  const gateway = await startTestGateway(services, env);
  stops.push(gateway.stop);
  return gateway;
}

async function fake(options: Parameters<typeof startFakeService>[0] = {}) {
  const service = await startFakeService(options);
  stops.push(service.stop);
  return service;
}

describe('passing requests to services', () => {
  it('sends each path to its service, body and query untouched', async () => {
    const [identity, orders] = [await fake(), await fake()];
    const { url } = await gatewayWith({ identity: [identity.url], orders: [orders.url] });
    await fetch(`${url}/v1/auth/login`, { method: 'POST', body: '{"a":1}' });
    const answer = await fetch(`${url}/v1/orders?limit=2&cursor=a%2Fb`);
    assert.equal(answer.status, 200);
    assert.equal(identity.noted[0]?.body, '{"a":1}');
    assert.equal(orders.noted[0]?.url, '/v1/orders?limit=2&cursor=a%2Fb');
  });

  it('keeps a valid request id and passes the trace on', async () => {
    const orders = await fake();
    const { url } = await gatewayWith({ orders: [orders.url] });
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const answer = await fetch(`${url}/v1/orders`, { headers: { 'x-request-id': 'mine-1', traceparent } });
    assert.equal(answer.headers.get('x-request-id'), 'mine-1');
    assert.equal(orders.noted[0]?.headers['x-request-id'], 'mine-1');
    assert.match(orders.noted[0]?.headers.traceparent?.toString() ?? '', /^00-a{32}-[0-9a-f]{16}-01$/);
  });

  it('tells services the address it saw itself, not the one that a client claims', async () => {
    const orders = await fake();
    const { url } = await gatewayWith({ orders: [orders.url] });
    const forged = {
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      forwarded: 'for=6.6.6.6',
      'x-real-ip': '6.6.6.6',
      'x-user-id': 'root',
      'x-tenant-id': 'other',
      cookie: 'a=b',
    };
    await fetch(`${url}/v1/orders`, { headers: forged });
    const headers = orders.noted[0]?.headers ?? {};
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    for (const name of ['forwarded', 'x-real-ip', 'x-user-id', 'x-tenant-id', 'cookie']) {
      assert.equal(headers[name], undefined, name);
    }
  });

  it('passes the answer with its headers, but not those of the connection', async () => {
    const orders = await fake({
      onRequest: (_req, res) => {
        res.writeHead(201, {
          etag: '"1"',
          location: '/v1/orders/1',
          connection: 'x-secret, close',
          'x-secret': '1',
        });
        res.end('{}');
      },
    });
    const { url } = await gatewayWith({ orders: [orders.url] });
    const answer = await fetch(`${url}/v1/orders`, { method: 'POST', body: '{}' });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('etag'), '"1"');
    assert.equal(answer.headers.get('location'), '/v1/orders/1');
    assert.equal(answer.headers.get('x-secret'), null);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  });

  it('turns to another instance when one refuses the connection, for reads alone', async () => {
    const [gone, orders] = [await startFakeService(), await fake()];
    const { url } = await gatewayWith({ orders: [gone.url, orders.url] }, { READY_POLL_MS: '60000' });
    await gone.stop();
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await fetch(`${url}/v1/orders`)).status);
    assert.deepEqual(statuses, [200, 200, 200, 200]);
  });

  it('answers 503 with Retry-After when a service is nowhere', async () => {
    const { url } = await gatewayWith({});
    const answer = await fetch(`${url}/v1/orders`, { method: 'POST', body: '{}' });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    assert.ok(answer.headers.get('retry-after'));
    const body = await jsonOf(answer);
    assert.equal(body.code, 'unavailable');
    assert.equal(body.request_id, answer.headers.get('x-request-id'));
  });

  it('cuts an answer that broke off, so that nobody takes it for whole', async () => {
    const orders = await fake({
      onRequest: (_req, res) => {
        res.write('half');
        setImmediate(() => res.destroy());
      },
    });
    const { url } = await gatewayWith({ orders: [orders.url] });
    await assert.rejects(async () => (await fetch(`${url}/v1/orders`)).text());
  });

  it('does not let a slow reader fill its memory', async () => {
    const total = 64 * 1024 * 1024;
    let sent = 0;
    const orders = await fake({
      onRequest: (_req, res) => {
        const chunk = Buffer.alloc(64 * 1024);
        const more = () => {
          while (sent < total) {
            sent += chunk.length;
            if (!res.write(chunk)) return void res.once('drain', more);
          }
          res.end();
        };
        more();
      },
    });
    const { port } = await gatewayWith({ orders: [orders.url] });
    const client = net.connect(port, '127.0.0.1').pause();
    client.write('GET /v1/orders HTTP/1.1\r\nhost: x\r\n\r\n');
    // Nothing is read: what was sent comes to rest once the buffers on the way are full.
    let before = -1;
    while (sent === 0 || sent !== before) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    client.destroy();
    assert.ok(sent < total / 2, `${sent} bytes are under way`);
  });
});

describe('what is refused before any service hears of it', () => {
  const refused: [string, RequestInit & { path?: string }, number, string][] = [
    ['a body over the limit', { method: 'POST', body: 'x'.repeat(2_000) }, 413, 'too_large'],
    [
      'an encoded body',
      { method: 'POST', body: 'x', headers: { 'content-encoding': 'gzip' } },
      415,
      'unsupported_media_type',
    ],
    ['an unknown path', { path: '/v1/other' }, 404, 'not_found'],
    ['the inside of services', { path: '/internal/trace/1' }, 404, 'not_found'],
    ['metrics', { path: '/metrics' }, 404, 'not_found'],
    ['an encoded way to the inside', { path: '/v1/orders/%2e%2e%2f%2e%2e/internal' }, 404, 'not_found'],
    ['an encoded slash', { path: '/v1/orders/..%2finternal' }, 404, 'not_found'],
    ['a doubly encoded path', { path: '/v1/orders/%252e%252e/internal' }, 404, 'not_found'],
    ['an empty segment', { path: '/v1/orders//internal' }, 404, 'not_found'],
    ['a broken encoding', { path: '/v1/orders/%zz' }, 404, 'not_found'],
    ['a NUL byte', { path: '/v1/orders/%00' }, 404, 'not_found'],
  ];
  for (const [what, { path = '/v1/orders', ...init }, status, code] of refused) {
    it(`refuses ${what}`, async () => {
      const orders = await fake();
      const { url } = await gatewayWith({ orders: [orders.url] }, { BODY_MAX_BYTES: '1000' });
      const answer = await fetch(url + path, init);
      assert.equal(answer.status, status);
      assert.equal((await jsonOf(answer)).code, code);
      assert.deepEqual(orders.noted, []);
    });
  }

  it('turns away who asks too often, and says for how long', async () => {
    const orders = await fake();
    const { url } = await gatewayWith(
      { orders: [orders.url] },
      { RAGLINE_RATE_LIMITS: 'on', RATE_LIMIT_ADDRESS_PER_10S: '3' },
    );
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await fetch(`${url}/v1/orders`));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 429],
    );
    assert.ok(Number(answers[3]?.headers.get('retry-after')) >= 1);
  });
});

describe('answers of the assistant through the gateway', () => {
  const messages = '/v1/conversations/0199d5f0-0000-7000-8000-000000000001/messages';
  const post = (url: string, path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, { method: 'POST', body: '{}', ...init });

  /** One that begins its answer and then writes what it is told to. */
  async function writing(env: Record<string, string> = {}) {
    const answers: ServerResponse[] = [];
    const chat = await fake({
      onRequest: (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).flushHeaders();
        answers.push(res);
      },
    });
    return { ...(await gatewayWith({ chat: [chat.url] }, env)), answers, chat };
  }

  it('begin when the service begins them, and pass each event at once', async () => {
    const { url, answers } = await writing();
    for (const path of [messages, '/v1/openai/chat/completions']) {
      const answer = await post(url, path);
      assert.equal(answer.headers.get('content-type'), 'text/event-stream; charset=utf-8');
      const reader = answer.body?.getReader();
      for (const event of ['id: 1\ndata: {"text":"We open"}\n\n', 'id: 2\ndata: {"text":" at nine."}\n\n']) {
        answers.at(-1)?.write(event);
        assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), event);
      }
      answers.at(-1)?.end();
      assert.equal((await reader?.read())?.done, true);
    }
  });

  it('end at the service when the reader leaves', async () => {
    const { url, answers } = await writing();
    const leaving = new AbortController();
    await post(url, messages, { signal: leaving.signal });
    const closed = once(answers[0] ?? assert.fail(), 'close');
    leaving.abort();
    await closed;
  });

  it('may take longer than those of others', async () => {
    const held: ServerResponse[] = [];
    const silent = await fake({ onRequest: (_req, res) => void held.push(res) });
    const { url } = await gatewayWith(
      { chat: [silent.url], orders: [silent.url] },
      { UPSTREAM_TIMEOUT_MS: '100' },
    );
    const answer = post(url, messages);
    assert.equal((await post(url, '/v1/orders')).status, 503);
    for (const res of held) res.end('At nine.');
    assert.equal(await (await answer).text(), 'At nine.');
  });

  it('may be asked about a document of ten mebibytes, and nothing else may be as large', async () => {
    const chat = await fake();
    const { url, port } = await gatewayWith({ chat: [chat.url] });
    const mebibyte = 1024 * 1024;
    const large = await post(url, '/v1/knowledge/documents', { body: Buffer.alloc(mebibyte + 1, 'x') });
    assert.equal(large.status, 200);
    for (const [path, bytes] of [
      ['/v1/knowledge/documents', 10 * mebibyte + 1],
      ['/v1/knowledge/models', mebibyte + 1],
      [messages, mebibyte + 1],
    ] as const) {
      const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n\r\n`;
      assert.match(await exchangeBytes(port, head), /^HTTP\/1.1 413 /, path);
    }
  });

  it('are asked for at paths that are the assistant’s, and at no others of its service', async () => {
    const chat = await fake();
    const { url } = await gatewayWith({ chat: [chat.url] });
    for (const path of ['/v1/conversations', '/v1/knowledge/search', '/v1/tools', '/v1/openai/models'])
      assert.equal((await fetch(`${url}${path}`)).status, 200, path);
    for (const path of [
      '/metrics',
      '/internal/v1/delegated-tokens',
      '/v1/conversationsx',
      '/v1/knowledge/..%2f..%2fmetrics',
    ])
      assert.equal((await fetch(`${url}${path}`)).status, 404, path);
    assert.deepEqual(
      chat.noted.map(({ url: path }) => path),
      ['/v1/conversations', '/v1/knowledge/search', '/v1/tools', '/v1/openai/models'],
    );
  });
});

describe('readiness', () => {
  it('is 503 without identity or orders, and degraded without the others', async () => {
    const [identity, orders] = [await fake(), await fake()];
    const { url } = await gatewayWith({ identity: [identity.url], orders: [orders.url] });
    const degraded = await fetch(`${url}/readyz`);
    assert.equal(degraded.status, 200);
    assert.deepEqual(await jsonOf(degraded), {
      status: 'degraded',
      services: {
        identity: 'ready',
        orders: 'ready',
        notifications: 'not_ready',
        'dead-letters': 'not_ready',
        chat: 'not_ready',
      },
      sentinel: 'off',
    });
    orders.setReady(false);
    while ((await fetch(`${url}/readyz`)).status === 200);
    assert.equal((await jsonOf(fetch(`${url}/readyz`))).status, 'not_ready');
  });
});
