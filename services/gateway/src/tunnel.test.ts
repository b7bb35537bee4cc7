import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, it } from 'mocha';
import WebSocket, { WebSocketServer } from 'ws';
import { exchangeBytes, startFakeService, startTestGateway } from './testing.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const handshake = (path: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
  `sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

/** A service with real WebSockets that sends back what it gets, and a gateway before it. */
async function sockets(instances = 1) {
  const server = new WebSocketServer({ noServer: true, handleProtocols: (names) => [...names][0] ?? false });
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
  const services = [];
  for (let i = 0; i < instances; i++) {
    const service = await startFakeService({
      onUpgrade: (req, socket, head) =>
        server.handleUpgrade(req, socket, head, (it) => server.emit('connection', it, req)),
    });
    stops.push(service.stop);
    services.push(service);
  }
  const gateway = await startTestGateway({ notifications: services.map(({ url }) => url) });
  stops.push(gateway.stop);
  return { services, server, gateway, wsUrl: gateway.url.replace('http', 'ws') };
}

async function opened(url: string, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(url, protocols);
  stops.push(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

describe('sockets through the gateway', () => {
  it('carries messages both ways, with the query and the sub-protocol', async () => {
    const { wsUrl, services } = await sockets();
    const socket = await opened(`${wsUrl}/ws/orders?ticket=abc`, ['ragline.v1.json', 'ragline.bearer.x']);
    socket.send('hello');
    const [data] = await once(socket, 'message');
    assert.equal(String(data), 'hello');
    assert.equal(socket.protocol, 'ragline.v1.json');
    assert.equal(services[0]?.noted[0]?.url, '/ws/orders?ticket=abc');
    assert.equal(services[0]?.noted[0]?.headers['x-forwarded-for'], '127.0.0.1');
  });

  it('passes the close code of the service', async () => {
    const { wsUrl, server } = await sockets();
    server.on('connection', (socket) => socket.close(1012, 'restart'));
    const [code] = await once(await opened(`${wsUrl}/ws`), 'close');
    assert.equal(code, 1012);
  });

  it('closes the client when the service dies, and the service when the client does', async () => {
    const { wsUrl, services, server } = await sockets();
    const [first, second] = [await opened(`${wsUrl}/ws`), await opened(`${wsUrl}/ws`)];
    const closed = Promise.all([...server.clients].map((it) => once(it, 'close')).slice(0, 1));
    first.terminate();
    await closed;
    await Promise.all([once(second, 'close'), services[0]?.stop()]);
  });

  it('spreads sockets over the instances', async () => {
    const { wsUrl, services } = await sockets(2);
    for (let i = 0; i < 4; i++) await opened(`${wsUrl}/ws`);
    assert.deepEqual(
      services.map(({ noted }) => noted.length),
      [2, 2],
    );
  });

  it('answers 503 with Retry-After while no instance is ready', async () => {
    const gateway = await startTestGateway({});
    stops.push(gateway.stop);
    const came = await exchangeBytes(gateway.port, handshake('/ws'));
    assert.match(came, /^HTTP\/1\.1 503 /);
    assert.match(came, /retry-after: \d/i);
  });

  it("passes the service's refusal and ends the connection: nothing after it is served", async () => {
    const service = await startFakeService({
      onUpgrade: (_req, socket) => {
        socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nx-why: token\r\n\r\n{}');
      },
    });
    stops.push(service.stop);
    const gateway = await startTestGateway({ notifications: [service.url], orders: [service.url] });
    stops.push(gateway.stop);
    const came = await exchangeBytes(
      gateway.port,
      `${handshake('/ws')}GET /v1/orders HTTP/1.1\r\nhost: x\r\n\r\n`,
    );
    assert.match(came, /^HTTP\/1\.1 401 Unauthorized\r\nx-why: token\r\n/);
    assert.equal(came.match(/HTTP\/1\.1/g)?.length, 1);
    assert.deepEqual(
      service.noted.map(({ method }) => method),
      ['UPGRADE'],
    );
  });

  it('passes nothing that was sent early to a service that does not upgrade', async () => {
    const got: string[] = [];
    const service = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        const text = String(chunk);
        if (text.startsWith('GET /readyz')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
        else if (text.startsWith('GET /openapi')) socket.end('HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n');
        else {
          got.push(text);
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno');
        }
      });
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    stops.push(() => service.close());
    const address = service.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const gateway = await startTestGateway({ notifications: [`http://127.0.0.1:${port}`] });
    stops.push(gateway.stop);
    const hidden = 'GET /internal/secret HTTP/1.1\r\nhost: x\r\n\r\n';
    const came = await exchangeBytes(gateway.port, handshake('/ws') + hidden);
    assert.match(came, /^HTTP\/1\.1 200 OK/);
    assert.equal(came.match(/HTTP\/1\.1/g)?.length, 1);
    assert.equal(got.length, 1);
    assert.ok(!got.join('').includes('/internal/secret'));
  });

  it('holds up the service while a client does not read', async () => {
    const { gateway, server } = await sockets();
    const client = net.connect(gateway.port, '127.0.0.1');
    stops.push(() => client.destroy());
    client.write(handshake('/ws'));
    const [service] = await once(server, 'connection');
    client.pause();
    const total = 96;
    for (let i = 0; i < total; i++) service.send(Buffer.alloc(1024 * 1024));
    let before = -1;
    while (service.bufferedAmount !== before) {
      before = service.bufferedAmount;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(before > (total / 2) * 1024 * 1024, `only ${before} bytes wait at the service`);
    service.terminate();
  });
});
