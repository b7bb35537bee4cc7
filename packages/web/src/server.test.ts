import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import type { Logger } from '@ragline/runtime/logger';
import { describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { startServer } from './server.ts';

const ignore = () => {};
const log: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

describe('a listening server', () => {
  const faults: [name: string, sent: string, status: number, code: string][] = [
    ['what is no HTTP', 'GARBAGE\r\n\r\n', 400, 'malformed'],
    ['a request without Host', 'GET / HTTP/1.1\r\n\r\n', 400, ''],
    [
      'header fields that are too large',
      `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'two ways of telling the length of a body',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'malformed',
    ],
    ['a bare line feed in the header', 'GET / HTTP/1.1\nHost: x\n\n', 400, 'malformed'],
  ];
  for (const [name, sent, status, code] of faults) {
    it(`answers ${name} with ${status}`, async () => {
      const server = await serve((_req, res) => res.end('fine'));
      const answer = await exchange(server.port, sent);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
      if (code !== '') assert.match(answer, new RegExp(`"code":"${code}"`));
      await server.close();
    });
  }

  it('does not wait for a body that comes too slowly, and says so', async () => {
    const server = await serve((req, res) => req.on('end', () => res.end()).resume(), {
      requestWithinMs: 100,
    });
    const answer = await exchange(
      server.port,
      'POST / HTTP/1.1\r\nHost: x\r\nX-Request-Id: slow-1\r\nContent-Length: 9\r\n\r\nabc',
    );
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /"code":"timeout".*"request_id":"slow-1"/);
    await server.close();
  });

  it('finishes what is begun when it stops, and takes nothing new', async () => {
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
    const server = await serve(async (_req, res) => {
      arrive();
      await mayAnswer;
      res.end('whole');
    });
    const request = fetch(`http://127.0.0.1:${server.port}/`);
    await arrived;
    const closed = server.close();
    await eventually(() => isRefused(server.port), { withinMs: 10_000 });
    answer();
    assert.equal(await (await request).text(), 'whole');
    await closed;
  });

  it('cuts off what does not end in time when it stops, upgraded connections too', async () => {
    const server = await serve(ignore, {
      drainMs: 20,
      onUpgrade: (_req, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
    });
    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', ignore);
    await server.close();
    await ended;
  });

  it('rejects at once when its port is taken', async () => {
    const server = await serve(ignore);
    await assert.rejects(
      startServer({ handler: ignore, port: server.port, host: '127.0.0.1', log }),
      /EADDRINUSE/,
    );
    await server.close();
  });
});

type Options = Partial<Parameters<typeof startServer>[0]>;

function serve(handler: RequestListener, options: Options = {}) {
  return startServer({ handler, port: 0, host: '127.0.0.1', log, ...options });
}

function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });
}

/** Sends bytes as they are, and returns all that comes back until the server closes. */
function exchange(port: number, sent: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(sent));
    let answer = '';
    socket.setEncoding('utf8').on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
