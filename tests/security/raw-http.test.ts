/**
 * Bytes that two servers could understand differently, sent to a real gateway before a service that notes
 * what reaches it.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'mocha';
import {
  exchangeBytes,
  type FakeService,
  startFakeService,
  startTestGateway,
} from '../../services/gateway/src/testing.ts';

let service: FakeService;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;

before(async () => {
  service = await startFakeService();
  const urls = [service.url];
  gateway = await startTestGateway({
    identity: urls,
    orders: urls,
    notifications: urls,
    'dead-letters': urls,
  });
});
after(async () => {
  await gateway.stop();
  await service.stop();
});
beforeEach(() => {
  service.noted.length = 0;
});

const hidden = 'GET /internal/secret HTTP/1.1\r\nhost: x\r\n\r\n';
const end = 'connection: close\r\n\r\n';

/** Sends bytes; returns the statuses that came back, and what reached the service. */
async function send(bytes: string) {
  const came = await exchangeBytes(gateway.port, bytes, { withinMs: 10_000 });
  const statuses = [...came.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return { came, statuses, noted: service.noted };
}

function assertUnsmuggled() {
  assert.ok(!service.noted.some(({ url }) => url.includes('internal')), 'the hidden request got through');
}

describe('requests that can be read in two ways', () => {
  const refused: Record<string, string> = {
    'Content-Length beside Transfer-Encoding': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    'Transfer-Encoding beside Content-Length': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 60\r\n\r\n0\r\n\r\n${hidden}`,
    'two Transfer-Encodings': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n${hidden}`,
    'two equal Transfer-Encodings': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    'an unknown Transfer-Encoding': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
    'a Transfer-Encoding before chunked': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n${hidden}`,
    'a Transfer-Encoding with a tab': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n${hidden}`,
    'a blank before the colon': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
    'two different Content-Lengths': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 50\r\n\r\n${hidden}`,
    'two equal Content-Lengths': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}${hidden}`,
    'a Content-Length list': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2, 2\r\n\r\n{}${hidden}`,
    'a signed Content-Length': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: +2\r\n\r\n{}${hidden}`,
    'line ends without CR': `POST /v1/orders HTTP/1.1\nhost: x\ncontent-length: 0\n\n${hidden}`,
    'one header line without CR': `GET /v1/orders HTTP/1.1\r\nhost: x\nx-a: 1\r\n\r\n${hidden}`,
    'a header that goes on in the next line': `GET /v1/orders HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n transfer-encoding: chunked\r\n\r\n${hidden}`,
    'a chunk size with a bare LF': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\n\n${hidden}`,
    'a chunk size that is no number': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0x0\r\n\r\n${hidden}`,
    'a chunk longer than it says': `POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n${hidden}`,
    'chunks in HTTP/1.0': `POST /v1/orders HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    'a GET with a body': `GET /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: ${hidden.length}\r\n\r\n${hidden}`,
    'two Hosts': `GET /v1/orders HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n${hidden}`,
    'no Host': `GET /v1/orders HTTP/1.1\r\n\r\n${hidden}`,
    'a Host with a path': `GET /v1/orders HTTP/1.1\r\nhost: x/../y\r\n\r\n${hidden}`,
    'two tokens': `GET /v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n${hidden}`,
    'a NUL byte in a header': `GET /v1/orders HTTP/1.1\r\nhost: x\r\nx-a: 1\x002\r\n\r\n${hidden}`,
    'a header name with a blank': `GET /v1/orders HTTP/1.1\r\nhost: x\r\nx a: 1\r\n\r\n${hidden}`,
    'an unknown version': `GET /v1/orders HTTP/3.7\r\nhost: x\r\n\r\n${hidden}`,
    'no HTTP at all': `\x16\x03\x01\x02\x00\x01${hidden}`,
  };
  for (const [what, bytes] of Object.entries(refused)) {
    it(`refuses ${what}, and serves nothing after it`, async () => {
      const { statuses, noted, came } = await send(bytes);
      assert.deepEqual(statuses, [400], came);
      assert.deepEqual(noted, []);
      assert.match(came, /connection: close/i);
    });
  }

  it('reads a chunked body itself and passes it on with its length', async () => {
    const chunked =
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n' +
      '2\r\n{"\r\n5;ext=1\r\na":1}\r\n0\r\nx-trailer: 1\r\n\r\n';
    const { statuses, noted } = await send(chunked);
    assert.deepEqual(statuses, [200]);
    assert.equal(noted[0]?.body, '{"a":1}');
    assert.equal(noted[0]?.headers['content-length'], '7');
    assert.equal(noted[0]?.headers['transfer-encoding'], undefined);
    assert.equal(noted[0]?.headers['x-trailer'], undefined);
  });

  it('takes a request inside of a body for the body it is', async () => {
    const bytes = `POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: ${hidden.length}\r\n${end}${hidden}`;
    const { noted } = await send(bytes);
    assert.equal(noted.length, 1);
    assert.equal(noted[0]?.body, hidden);
  });

  it('gives each of two requests in one packet its own answer', async () => {
    const one = 'GET /v1/orders/1 HTTP/1.1\r\nhost: x\r\n\r\n';
    const two = `GET /v1/orders/2 HTTP/1.1\r\nhost: x\r\n${end}`;
    const { statuses, noted } = await send(one + two);
    assert.deepEqual(statuses, [200, 200]);
    assert.deepEqual(noted.map(({ url }) => url).sort(), ['/v1/orders/1', '/v1/orders/2']);
  });
});

describe('targets that lead elsewhere', () => {
  const nowhere: Record<string, string> = {
    'dot segments': '/v1/orders/../../internal/secret',
    'encoded dot segments': '/v1/%2e%2e/internal/secret',
    'half encoded dot segments': '/v1/orders/.%2e/.%2E/internal/secret',
    'encoded slashes': '/v1/orders%2f..%2f..%2finternal',
    'doubly encoded dots': '/v1/%252e%252e/internal',
    'a backslash': '/v1/orders\\..\\..\\internal',
    'an encoded backslash': '/v1/orders/..%5c..%5cinternal',
    'empty segments': '//internal/secret',
    'an encoded line end': '/v1/orders/%0d%0ax-user-id:%20root',
    'a fragment': '/v1/orders#/../internal',
    'overlong UTF-8': '/v1/%c0%ae%c0%ae/internal',
    'a parameter after dots': '/v1/orders/..;/internal',
    'the inside': '/internal/secret',
    'an encoded name of the inside': '/%69nternal/secret',
    'metrics of services': '/v1/orders/../../metrics',
    metrics: '/metrics',
    'an absolute address': 'http://127.0.0.1/internal/secret',
  };
  for (const [what, target] of Object.entries(nowhere)) {
    it(`finds nothing at ${what}`, async () => {
      const { statuses } = await send(`GET ${target} HTTP/1.1\r\nhost: x\r\n${end}`);
      assert.ok(statuses[0] === 404 || statuses[0] === 400, String(statuses));
      assert.deepEqual(service.noted, []);
    });
  }

  it('answers /readyz itself, whatever the services say there', async () => {
    const { came } = await send(`GET /readyz HTTP/1.1\r\nhost: x\r\n${end}`);
    assert.match(came, /"services":/);
    assert.ok(!came.includes('checks'));
  });

  it('has no CONNECT and no TRACE', async () => {
    const traced = await send(`TRACE /v1/orders HTTP/1.1\r\nhost: x\r\n${end}`);
    assert.deepEqual(traced.statuses, [405]);
    const connected = await send('CONNECT 127.0.0.1:9092 HTTP/1.1\r\nhost: x\r\n\r\n');
    assert.ok(!connected.statuses.includes(200));
    assert.deepEqual(service.noted, []);
  });
});

describe('headers that claim to be someone', () => {
  it('never pass to services, in whatever spelling', async () => {
    const forged = [
      'X-User-Id: root',
      'x-tenant-id: other',
      'X_Tenant_Id: other',
      'x-roles: admin',
      'X-Forwarded-For: 10.0.0.1',
      'x-forwarded-host: evil.example',
      'Forwarded: for=10.0.0.1',
      'X-Real-IP: 10.0.0.1',
      'X-Original-URL: /internal/secret',
      'X-HTTP-Method-Override: DELETE',
      'Proxy-Authorization: Basic x',
      'Via: 1.1 evil',
    ];
    const { noted } = await send(
      `GET /v1/orders HTTP/1.1\r\nhost: shop.example\r\n${forged.join('\r\n')}\r\n${end}`,
    );
    const headers = noted[0]?.headers ?? {};
    assert.deepEqual(Object.keys(headers).sort(), [
      'connection',
      'host',
      'traceparent',
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-request-id',
    ]);
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-host'], 'shop.example');
  });

  it('are dropped when Connection names them', async () => {
    const { noted } = await send(
      'GET /v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a\r\nconnection: close, authorization, x-request-id\r\n\r\n',
    );
    assert.equal(noted[0]?.headers.authorization, undefined);
    assert.ok(noted[0]?.headers['x-request-id']);
  });

  it('does not let an answer be split by a request id', async () => {
    const { came } = await send(
      `GET /v1/orders HTTP/1.1\r\nhost: x\r\nx-request-id: a b"><script>\r\n${end}`,
    );
    assert.ok(!came.includes('script'));
  });

  it('are refused when there are too many bytes of them', async () => {
    const { statuses } = await send(
      `GET /v1/orders HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(40_000)}\r\n${end}`,
    );
    assert.deepEqual(statuses, [431]);
    assert.deepEqual(service.noted, []);
  });

  it('are refused when a token is longer than any', async () => {
    const long = 'a'.repeat(15_000);
    const { statuses } = await send(
      `GET /v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${long}\r\n${end}`,
    );
    assert.equal(statuses.length, 1);
  });
});

describe('upgrades that are none', () => {
  const key = 'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  const upgrade = (line: string, more = key) =>
    `${line} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n${more}\r\n`;

  it('serves a request as what it is when it asks to upgrade where there is no socket', async () => {
    const { statuses, noted } = await send(
      `GET /v1/orders HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, close\r\nupgrade: websocket\r\n${key}\r\n`,
    );
    assert.deepEqual(statuses, [200]);
    assert.equal(noted[0]?.headers.upgrade, undefined);
    assert.equal(noted[0]?.headers['sec-websocket-key'], undefined);
  });

  it('does not pass an upgrade to HTTP/2', async () => {
    const { noted } = await send(
      'GET /v1/orders HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n',
    );
    assert.equal(noted[0]?.headers.upgrade, undefined);
    assert.equal(noted[0]?.headers['http2-settings'], undefined);
  });

  it('ends the connection after a handshake that a service does not take', async () => {
    // This service has no sockets: Node closes on it, or answers as to a plain request.
    const { statuses } = await send(upgrade('GET /ws') + hidden);
    assert.equal(statuses.length, 1);
    assert.notEqual(statuses[0], 101);
    assertUnsmuggled();
  });

  it('refuses a handshake with a body or without a key', async () => {
    const withBody = await send(
      `${upgrade('GET /ws', `${key}content-length: ${hidden.length}\r\n`)}${hidden}`,
    );
    assert.deepEqual(withBody.statuses, [400]);
    const withoutKey = await send(upgrade('GET /ws', '') + hidden);
    assert.deepEqual(withoutKey.statuses, [400]);
    const posted = await send(upgrade('POST /ws') + hidden);
    assert.deepEqual(posted.statuses.slice(0, 1), [400]);
    assertUnsmuggled();
  });

  it('finds no socket on paths that lead elsewhere', async () => {
    for (const path of [
      '/ws/../internal',
      '/ws/%2e%2e/internal',
      '/wsx',
      '/ws/chat/../orders',
      '/internal/ws',
    ]) {
      const { statuses } = await send(upgrade(`GET ${path}`).replace('Upgrade', 'Upgrade, close') + hidden);
      assert.ok((statuses[0] ?? 0) >= 400, `${path}: ${statuses}`);
      assertUnsmuggled();
    }
  });
});

describe('senders that take their time', () => {
  it('answers 408 to a body that does not come, and tells no service', async () => {
    const slow = await startTestGateway({ orders: [service.url] }, { BODY_TIMEOUT_MS: '200' });
    const came = await exchangeBytes(
      slow.port,
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"a"',
    );
    await slow.stop();
    assert.match(came, /^HTTP\/1\.1 408 /);
    assert.match(came, /"code":"timeout"/);
    assert.deepEqual(service.noted, []);
  });

  it('answers 408 to headers that do not come', async () => {
    const slow = await startTestGateway({ orders: [service.url] }, { HEADERS_TIMEOUT_MS: '200' });
    const came = await exchangeBytes(slow.port, 'POST /v1/orders HTTP/1.1\r\nhost: x\r\nx-a:', {
      withinMs: 5_000,
    });
    await slow.stop();
    assert.match(came, /^HTTP\/1\.1 408 /);
  });

  it('answers 413 before the body of one that announces too much', async () => {
    const came = await exchangeBytes(
      gateway.port,
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n',
    );
    assert.match(came, /^HTTP\/1\.1 413 /);
    assert.ok(!came.includes('100 Continue'));
    assert.deepEqual(service.noted, []);
  });

  it('says 100 to whoever waits for it before a body that may come', async () => {
    const { came } = await send(
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}',
    );
    assert.match(came, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    assert.equal(service.noted[0]?.headers.expect, undefined);
  });
});
