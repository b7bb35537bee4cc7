/** For tests: a service that notes what reaches it, and a gateway in front of such services. */
import http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { createLogger } from '@ragline/runtime/logger';
import { readConfig } from './config.ts';
import { startGateway } from './gateway.ts';
import type { ServiceName } from './routes.ts';

export type Noted = { method: string; url: string; headers: http.IncomingHttpHeaders; body: string };

export type FakeService = Awaited<ReturnType<typeof startFakeService>>;

/** A service on a free port: ready, and answering 200 with what it understood of the request. */
export async function startFakeService(
  options: {
    port?: number;
    /** What it answers at `/openapi.json`. */
    document?: object;
    onRequest?: (req: http.IncomingMessage, res: http.ServerResponse, body: string) => void;
    onUpgrade?: (req: http.IncomingMessage, socket: Duplex, head: Buffer) => void;
  } = {},
) {
  const noted: Noted[] = [];
  const sockets = new Set<net.Socket>();
  let ready = true;
  const server = http.createServer((req, res) => {
    if (req.url === '/readyz') {
      res.writeHead(ready ? 200 : 503, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ status: ready ? 'ready' : 'not_ready', checks: { itself: 'ok' } }));
      return;
    }
    if (req.url === '/openapi.json') {
      res.writeHead(options.document ? 200 : 404).end(JSON.stringify(options.document ?? {}));
      return;
    }
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      noted.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers, body });
      if (options.onRequest) options.onRequest(req, res, body);
      else res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ body }));
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  if (options.onUpgrade) {
    server.on('upgrade', (req, socket, head) => {
      noted.push({ method: 'UPGRADE', url: req.url ?? '', headers: req.headers, body: '' });
      options.onUpgrade?.(req, socket, head);
    });
  }
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    noted,
    open: () => sockets.size,
    setReady(value: boolean) {
      ready = value;
    },
    stop(): Promise<void> {
      return new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
    },
  };
}

/** A gateway on a free port; `env` as in its settings. Services without an address are nowhere. */
export async function startTestGateway(
  services: Partial<Record<ServiceName, string[]>>,
  env: Record<string, string> = {},
) {
  const stops: (() => unknown)[] = [];
  const list = (urls: string[] | undefined) => (urls ?? ['http://127.0.0.1:9']).join(',');
  const config = readConfig({
    PORT: '0',
    LOG_LEVEL: 'error',
    READY_POLL_MS: '50',
    STOP_WITHIN_MS: '400',
    RAGLINE_RATE_LIMITS: 'off',
    IDENTITY_URLS: list(services.identity),
    ORDERS_URLS: list(services.orders),
    NOTIFICATIONS_URLS: list(services.notifications),
    DEAD_LETTERS_URLS: list(services['dead-letters']),
    CHAT_URLS: list(services.chat),
    ...env,
  });
  const log = createLogger({ service: 'gateway', level: config.logLevel });
  const { port } = await startGateway(config, log, (thing, stop) => {
    stops.push(() => stop(thing));
    return thing;
  });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      for (const stop of stops.reverse()) await stop();
    },
  };
}

/** Writes bytes to a port as they are, and returns all that came back until the connection closed. */
export function exchangeBytes(
  port: number,
  bytes: string | Buffer,
  { withinMs = 3_000 } = {},
): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    const timer = setTimeout(() => socket.destroy(), withinMs);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads the fields it asserts on.
export const jsonOf = async (answer: Response | Promise<Response>): Promise<any> => (await answer).json();
