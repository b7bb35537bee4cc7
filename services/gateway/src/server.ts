/**
 * The public port: an HTTP server that reads strictly, waits for nobody for long, and hands over upgrades only
 * where there is a socket to be had.
 */
import http from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '@ragline/runtime/logger';
import { problem, sendProblem } from '@ragline/web/problems';
import { requestIdFrom } from '@ragline/web/request-state';
import { closingProblem, refuseSocket } from './answer.ts';

export type GatewayServer = Awaited<ReturnType<typeof startGatewayServer>>;

type Options = {
  host: string;
  port: number;
  headersMaxBytes: number;
  headersTimeoutMs: number;
  bodyTimeoutMs: number;
  connectionsMax: number;
  log: Logger;
  onRequest: http.RequestListener;
  /** Whether this request is for a socket; all others with `Upgrade` are answered as if it were not there. */
  takesUpgrade: (req: http.IncomingMessage) => boolean;
  onUpgrade: (req: http.IncomingMessage, socket: Duplex, head: Buffer) => void;
};

export async function startGatewayServer(options: Options) {
  const answering = new WeakMap<Socket, http.ServerResponse>();
  const server = http.createServer({
    insecureHTTPParser: false,
    // Asked for by our own listener, which can answer with a problem.
    requireHostHeader: false,
    maxHeaderSize: options.headersMaxBytes,
    headersTimeout: options.headersTimeoutMs,
    // A little more than our own wait for the body, whose answer is the better one.
    requestTimeout: options.headersTimeoutMs + options.bodyTimeoutMs + 5_000,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 65_000,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    shouldUpgradeCallback: options.takesUpgrade,
  });
  server.maxHeadersCount = 100;
  server.maxConnections = options.connectionsMax;

  const listener: http.RequestListener = (req, res) => {
    answering.set(req.socket, res);
    res.once('close', () => {
      if (answering.get(req.socket) === res) answering.delete(req.socket);
    });
    options.onRequest(req, res);
  };
  server.on('request', listener);
  // The listener says 100 by itself once it wants the body.
  server.on('checkContinue', listener);
  server.on('checkExpectation', (req, res) => {
    const requestId = requestIdFrom(req.headers['x-request-id']);
    sendProblem(res, problem('malformed', 'The only expectation is 100-continue.'), requestId);
  });
  server.on('upgrade', options.onUpgrade);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    refuseBytes(error, socket, answering);
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: options.port, host: options.host, backlog: 4_096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  options.log.info('listening', { host: options.host, port });

  return {
    port,
    /** Takes no more connections; resolves when those that are open have had their answers. */
    close(): Promise<void> {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
    },
    cut: () => server.closeAllConnections(),
  };
}

/** Bytes that are no request, or did not come in time. */
function refuseBytes(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  answering: WeakMap<Duplex, http.ServerResponse>,
): void {
  // An answer that has begun would be garbled by a second one.
  const open = answering.get(socket);
  if (error.code === 'ECONNRESET' || !socket.writable || open?.headersSent) {
    socket.destroy();
    return;
  }
  refuseSocket(socket, problemOf(error.code), requestIdFrom(undefined));
}

function problemOf(code: string | undefined) {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return closingProblem('headers_too_large', 'The header fields are too large.');
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return closingProblem('timeout', 'The request took too long to arrive.');
  return closingProblem('malformed', 'This is not a request that can be read in one way only.');
}
