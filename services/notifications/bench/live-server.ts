/**
 * One server of the benchmark in a process of its own: the live plane, bare `ws`, or Socket.IO. The parent asks for
 * its use of CPU and memory, and the peers for their events, by messages.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { Server as SocketIo } from 'socket.io';
import { type WebSocket, WebSocketServer } from 'ws';
import { startLivePlane } from '../src/live/plane.ts';

export type Ask = { ask: 'usage' } | { ask: 'publish'; json: string };
export type Usage = { cpuUs: number; rssBytes: number; heapBytes: number; loopMaxMs: number };

const settings: Record<string, string | undefined> = process.env;
const need = (name: string): string => {
  const value = settings[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
const { port, publish } = await start(process.argv[2] ?? 'plane');

process.on('message', (message: Ask) => {
  if (message.ask === 'publish') publish(message.json);
  else {
    // Otherwise garbage of the connecting phase would count as what a socket costs.
    globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    const memory = process.memoryUsage();
    const usage: Usage = {
      cpuUs: user + system,
      rssBytes: memory.rss,
      heapBytes: memory.heapUsed + memory.external,
      loopMaxMs: delay.max / 1e6,
    };
    delay.reset();
    process.send?.(usage);
  }
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port });

async function start(kind: string): Promise<{ port: number; publish: (json: string) => void }> {
  if (kind === 'plane') return startPlane();
  return kind === 'ws' ? startBareWs() : startSocketIo();
}

async function startPlane() {
  const log = createLogger({ service: 'bench', level: 'error' });
  const health = createHealth();
  const id = process.pid;
  const live = await startLivePlane({
    kafka: {
      brokers: need('KAFKA_BROKERS').split(','),
      username: settings.KAFKA_USERNAME,
      password: settings.KAFKA_PASSWORD,
    },
    clientId: `bench-live-${id}`,
    instance: `bench-live-${id}`,
    authentication: createAuthentication({
      jwksUrl: need('JWKS_URL'),
      issuer: 'ragline',
      audience: 'ragline',
      log,
    }),
    codec: createCodec({ registryUrl: need('SCHEMA_REGISTRY_URL') }),
    cursorKeys: '1:a secret of the benchmark',
    identityUrl: 'http://127.0.0.1:1',
    allowedOrigins: [],
    rateLimits: false,
    tracing: false,
    markRead: async () => 'not_found',
    log,
    metrics: createMetrics({ service: 'bench' }),
    health,
    topics: JSON.parse(need('BENCH_TOPICS')),
  });
  const server = await startServer({
    handler: (_req, res) => void res.writeHead(404).end(),
    onUpgrade: live.upgrade,
    port: 0,
    host: '127.0.0.1',
    log,
  });
  while ((await health.ready()).status !== 'ready') await new Promise((resolve) => setTimeout(resolve, 20));
  return { port: server.port, publish: () => {} };
}

async function startBareWs() {
  const clients = new Set<WebSocket>();
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, clientTracking: false, perMessageDeflate: false });
  sockets.on('connection', (client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
  });
  const publish = (json: string) => {
    for (const client of clients) client.send(json);
  };
  return { port: await listen(server), publish };
}

async function startSocketIo() {
  const server = http.createServer();
  const io = new SocketIo(server, {
    transports: ['websocket'],
    pingInterval: 300_000,
    perMessageDeflate: false,
  });
  const publish = (json: string) => void io.emit('event', JSON.parse(json));
  return { port: await listen(server), publish };
}

async function listen(server: http.Server): Promise<number> {
  await new Promise<void>((resolve) =>
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, resolve),
  );
  return (server.address() as AddressInfo).port;
}
