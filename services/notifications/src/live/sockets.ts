/** WebSockets: the upgrade, the messages of a client, and its end. */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from '@ragline/runtime/logger';
import { Problem, problem, problemBody } from '@ragline/web/problems';
import { WebSocket, WebSocketServer } from 'ws';
import { type Connection, closeCodeOf } from './connections.ts';
import type { Caller } from './credentials.ts';
import { messageFrame } from './frames.ts';
import { createReceiver, type MessageParts, subscribe } from './messages.ts';
import { frameBytesMax, frameFaultCodes, subprotocol } from './protocol.ts';
import type { Outlet } from './subscription.ts';

export type SocketParts = MessageParts & { isReady: () => boolean; heartbeatMs: number };

/** A client that never reads what it asks for is let go at this much. */
const unsentBytesMax = 8 * 1024 * 1024;

/**
 * A class because ws makes its sockets itself and offers this way to take part: we must know the moment in which a
 * close begins, also one by ws, since frames are written past it; and its codes for bad frames become ours.
 */
class ClientSocket extends WebSocket {
  onClosing: (() => void) | undefined;

  override close(code?: number, reason?: string | Buffer): void {
    this.onClosing?.();
    if (code !== undefined && frameFaultCodes.has(code)) super.close(closeCodeOf('malformed'), reason);
    else super.close(code, reason);
  }
}

export function createSockets(parts: SocketParts) {
  const { core, connections, credentials, isReady, heartbeatMs, log } = parts;
  const server = new WebSocketServer({
    noServer: true,
    WebSocket: ClientSocket,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: frameBytesMax,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });

  async function open(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(req.url ?? '/', 'http://localhost');
    const isOrders = url.pathname === '/ws/orders';
    if (!isOrders && url.pathname !== '/ws') throw problem('not_found');
    if (!isReady()) throw problem('unavailable', 'This instance is not ready; another one may be.');
    credentials.checkOrigin(req);
    const caller = await credentials.ofSocket(req, url);
    server.handleUpgrade(req, socket, head, (ws) => {
      const since = url.searchParams.get('since') ?? undefined;
      begin(ws, socket, caller, isOrders ? { name: 'orders', since } : undefined);
    });
  }

  function begin(
    ws: ClientSocket,
    socket: Duplex,
    { principal, token }: Caller,
    first: { name: 'orders'; since: string | undefined } | undefined,
  ): void {
    const outlet: Outlet = {
      format: 'ws',
      socket,
      isOpen: true,
      draining: new Set(),
      blockedSince: undefined,
    };
    const connection: Connection = {
      id: randomUUID(),
      outlet,
      principal,
      subscriptions: new Map(),
      send: (message) => {
        if (!outlet.isOpen) return;
        socket.write(messageFrame('ws', message));
        if (socket.writableLength > unsentBytesMax) connections.close(connection, 'tooSlow');
      },
      close: (reason) => ws.close(closeCodeOf(reason)),
      ping: () => ws.ping(),
      unanswered: 0,
      nextBeatAt: 0,
      isWarned: false,
    };
    ws.onClosing = () => {
      outlet.isOpen = false;
    };
    ws.on('error', (error) => log.debug('socket fault', { connection_id: connection.id, error }));
    ws.on('close', (code) => {
      connections.remove(connection);
      log.debug('socket closed', { connection_id: connection.id, code });
    });
    if (!connections.hasRoom(principal)) {
      connections.close(connection, 'tooMany');
      return;
    }
    connections.add(connection);
    socket.on('drain', () => core.drained(outlet));
    ws.on('pong', () => {
      connection.unanswered = 0;
    });
    // Made when it says something: most of ten thousand clients only listen.
    let receive: ReturnType<typeof createReceiver> | undefined;
    ws.on('message', (data, isBinary) => {
      receive ??= createReceiver(parts, connection, token);
      receive(isBinary ? undefined : data.toString());
    });
    connection.send({
      type: 'welcome',
      connection_id: connection.id,
      heartbeat_ms: heartbeatMs,
      max_bytes: frameBytesMax,
    });
    if (first !== undefined) {
      const { name, since } = first;
      subscribe(core, connection, { kind: 'orders', name }, { since, onBadCursor: 'gap' });
    }
  }

  return {
    /** For the `upgrade` event of an HTTP server: refuses with a problem, or takes the socket over. */
    upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
      // Until ws takes over, nobody else listens for what a vanished client causes.
      const onError = () => socket.destroy();
      socket.on('error', onError);
      open(req, socket, head)
        .then(() => socket.off('error', onError))
        .catch((error: unknown) => refuse(socket, error, log));
    },
  };
}

/** Before the upgrade: a plain HTTP answer with a problem. */
function refuse(socket: Duplex, error: unknown, log: Logger): void {
  const known = error instanceof Problem ? error : problem('internal');
  if (!(error instanceof Problem)) log.error('upgrade failed', { error });
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(problemBody(known, randomUUID()));
  const head = [
    `HTTP/1.1 ${known.status} ${STATUS_CODES[known.status]}`,
    ...Object.entries(known.headers).map(([name, value]) => `${name}: ${value}`),
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
