import assert from 'node:assert/strict';
import http from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createLogger } from '@ragline/runtime/logger';
import { createCursorSealer } from '@ragline/streams/cursor';
import type { Principal } from '@ragline/web/auth';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { eventually } from '../../../../tests/support/eventually.ts';
import { createConnections, defaultQuotas } from './connections.ts';
import { createLiveCore } from './core.ts';
import { createSockets } from './sockets.ts';
import { createStreams } from './sse.ts';
import { createSubscribing } from './subscribing.ts';

describe('connections of hostile or unlucky clients', () => {
  let scene: Awaited<ReturnType<typeof startScene>>;

  beforeEach(async () => {
    scene = await startScene();
  });
  afterEach(() => scene.stop());

  it('are closed with 4429 when they send pings without end', async () => {
    const ws = await scene.open();
    for (let i = 0; i < 100; i += 1) ws.ping();
    assert.equal(await closeCode(ws), 4429);
  });

  it('are closed with 4429 when too many of their messages wait', async () => {
    const ws = await scene.open({ flood: undefined });
    const read = JSON.stringify({ type: 'read', id: 1, notification_id: crypto.randomUUID() });
    for (let i = 0; i < 5_002; i += 1) ws.send(read);
    assert.equal(await closeCode(ws), 4429);
  });

  it('are closed with 4401 when their session ends while they are let in', async () => {
    const ws = await scene.open({ isRevoked: true });
    assert.equal(await closeCode(ws), 4401);
    assert.equal(scene.connections.all.size, 0);
  });

  it('are not begun as a stream when their session ends while they are let in', async () => {
    const client = await scene.stream({ isRevoked: true });
    await eventually(() => assert.match(client.text(), /^HTTP\/1\.1 401 /));
    assert.equal(scene.connections.all.size, 0);
  });

  it('are refused with 404 at an address that is none', async () => {
    const client = await scene.stream({ request: `GET //[ HTTP/1.1\r\nHost: localhost\r\n${handshake}` });
    await eventually(() => assert.match(client.text(), /^HTTP\/1\.1 404 /));
  });

  it('are cut when they do not read the end of their stream', async () => {
    const client = await scene.stream();
    await eventually(() => assert.match(client.text(), /event: cursor/));
    client.socket.pause();
    const [connection] = scene.connections.all;
    assert.ok(connection);
    connection.outlet.socket.write(Buffer.alloc(16 * 1024 * 1024, 'x'));
    scene.connections.close(connection, 'unauthenticated');
    await eventually(() => assert.equal(scene.connections.all.size, 0));
  });
});

/** Sockets and streams over a core without Kafka; whoever asks is let in. */
async function startScene() {
  const log = createLogger({ service: 'test', level: 'error' });
  const now = Date.now;
  const core = createLiveCore({
    topics: ['orders', 'notifications', 'conversations'],
    sealer: createCursorSealer({ keys: '1:a secret of the tests' }),
    decode: (value) => JSON.parse(value.toString()),
    clock: { now, soon: setImmediate, after: (ms, run) => void setTimeout(run, ms) },
    read: async () => [],
    endOffsets: async () => [],
  });
  core.opened('orders', { epoch: 1, next: [0], isRecreated: false });
  core.opened('notifications', { epoch: 2, next: [0], isRecreated: false });
  core.opened('conversations', { epoch: 3, next: [0], isRecreated: false });
  const connections = createConnections({ core, quotas: defaultQuotas, heartbeatMs: 60_000, now });
  const servers: http.Server[] = [];
  const clients: Socket[] = [];

  async function serve({ isRevoked = false, flood = defaultFlood }: Options): Promise<number> {
    const unknown = async () => 'unknown' as const;
    const subscribing = createSubscribing({ core, lookUpOrder: unknown, lookUpConversation: unknown });
    const caller = { principal: aPrincipal(), token: 'token', isTicketed: false };
    const credentials = {
      verify: async () => caller.principal,
      isRevoked: () => isRevoked,
      checkOrigin: () => {},
      ofSocket: async () => caller,
      ofStream: async () => caller,
    };
    const common = { core, connections, credentials, subscribing, subscriptionsMax: 200, log, now };
    const isReady = () => true;
    const markRead = () => new Promise<never>(() => {});
    const sockets = createSockets({ ...common, isReady, markRead, heartbeatMs: 60_000, flood });
    const streams = createStreams({ ...common, isReady, isStopping: () => false, endWithinMs: 100 });
    const server = http.createServer(streams.stream).on('upgrade', sockets.upgrade);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  return {
    connections,
    async open(options: Options = {}): Promise<WebSocket> {
      const ws = new WebSocket(`ws://127.0.0.1:${await serve(options)}/ws`);
      ws.on('error', () => {});
      await new Promise((resolve) => ws.once('open', resolve));
      return ws;
    },
    async stream(options: Options = {}) {
      const socket = connect(await serve(options), '127.0.0.1');
      clients.push(socket);
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.on('error', () => {});
      socket.write(options.request ?? 'GET /v1/events/orders HTTP/1.1\r\nHost: localhost\r\n\r\n');
      return { socket, text: () => text };
    },
    async stop(): Promise<void> {
      for (const client of clients) client.destroy();
      for (const server of servers) {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        await closed;
      }
    },
  };
}

type Options = {
  isRevoked?: boolean;
  flood?: { perSecond: number; burst: number } | undefined;
  /** Bytes to send instead of a stream's request. */
  request?: string;
};
const handshake = 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const defaultFlood = { perSecond: 1, burst: 50 };

function aPrincipal(): Principal {
  const [user_id, tenant_id] = [crypto.randomUUID(), crypto.randomUUID()];
  const ids = { user_id, tenant_id, session_id: 'session', token_id: 'token' };
  return { ...ids, roles: ['customer'], issued_at: 0, expires_at: Date.now() + 600_000 };
}

const closeCode = (ws: WebSocket) => new Promise<number>((resolve) => ws.once('close', resolve));
