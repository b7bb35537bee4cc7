/** The listening side of a service: limits on what a client may do to it, and a stop that finishes what is begun. */
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '@ragline/runtime/logger';
import { type ProblemCode, problem, problemBody } from './problems.ts';
import { requestIdFrom } from './request-state.ts';

export type ServerOptions = {
  handler: RequestListener;
  /** 0 takes a free one. */
  port: number;
  host: string;
  log: Logger;
  onUpgrade?: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** How long requests under way may take when the server stops. */
  drainMs?: number;
  /** How long a client may take to send a whole request. */
  requestWithinMs?: number;
};

export type Server = { port: number; server: http.Server; close(): Promise<void> };

/** Listens; rejects when the port cannot be had. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { handler, host, log, onUpgrade, drainMs = 5_000, requestWithinMs = 30_000 } = options;
  const answers = new WeakMap<Duplex, ServerResponse>();
  const sockets = new Set<Socket>();
  let isClosing = false;

  const server = http.createServer(
    {
      maxHeaderSize: 16_384,
      headersTimeout: Math.min(10_000, requestWithinMs),
      requestTimeout: requestWithinMs,
      connectionsCheckingInterval: Math.min(2_000, requestWithinMs),
      // Longer than a proxy in front keeps its side, so that it is never the one that finds a closed connection.
      keepAliveTimeout: 65_000,
      noDelay: true,
    },
    (req, res) => {
      answers.set(req.socket, res);
      if (isClosing) res.setHeader('connection', 'close');
      handler(req, res);
    },
  );
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
    refuse(error, socket, answers.get(socket), log),
  );
  if (onUpgrade) server.on('upgrade', onUpgrade);

  await listen(server, options.port, host);
  server.on('error', (error) => log.error('server error', { error }));
  const { port } = server.address() as AddressInfo;
  log.debug('listening', { host, port });

  return {
    port,
    server,
    async close() {
      isClosing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // A connection whose request was under way becomes idle only when that is answered.
      const sweep = setInterval(() => server.closeIdleConnections(), 20);
      const timer = setTimeout(() => {
        if (sockets.size > 0) log.warn('connections cut off', { connections: sockets.size });
        for (const socket of sockets) socket.destroy();
      }, drainMs);
      await closed;
      clearTimeout(timer);
      clearInterval(sweep);
    },
  };
}

function listen(server: http.Server, port: number, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port, host }, () => {
    server.off('error', reject);
    resolve();
  });
  return promise;
}

const clientErrorCodes: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'timeout',
};

/** Answers what Node could not make a request of, or what was not sent to its end in time. */
function refuse(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  res: ServerResponse | undefined,
  log: Logger,
): void {
  log.debug('connection refused', { error });
  const hasBegun = res?.headersSent === true && !res.writableFinished;
  if (error.code === 'ECONNRESET' || !socket.writable || hasBegun) {
    socket.destroy(error);
    return;
  }
  const answer = problem(clientErrorCodes[error.code ?? ''] ?? 'malformed');
  const requestId = requestIdFrom(res?.req.headers['x-request-id']);
  const body = JSON.stringify(problemBody(answer, requestId));
  const head = [
    `HTTP/1.1 ${answer.status} ${http.STATUS_CODES[answer.status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Cache-Control: no-store',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
