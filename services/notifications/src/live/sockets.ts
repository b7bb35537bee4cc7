/** WebSockets: the upgrade, the messages of a client, and its end. */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from '@ragline/runtime/logger';
import type { Caller } from '@ragline/web/credentials';
import { Problem, problem, problemBody } from '@ragline/web/problems';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { type Connection, closeCodeOf } from './connections.ts';
import { messageFrame, type ServerMessage } from './frames.ts';
import { createReceiver, type MessageParts, type Receiver, subscribe } from './messages.ts';
import { type CloseReason, frameBytesMax, frameFaultCodes, subprotocol } from './protocol.ts';
import type { Outlet } from './subscription.ts';

export type SocketParts = MessageParts & { isReady: () => boolean; heartbeatMs: number };

/** A client that never reads what it asks for is let go at this much. */
const unsentBytesMax = 8 * 1024 * 1024;

/** What is kept of one client, in one place: the listeners are shared by all. */
type SocketConnection = Connection & {
  readonly ws: ClientSocket;
  /** The one that it was opened with. */
  readonly token: string;
  /** Made when it says something: most of ten thousand clients only listen. */
  receiver: Receiver | undefined;
};

/**
 * A class because ws makes its sockets itself and offers this way to take part: we must know the moment in which a
 * close begins, also one by ws, since frames are written past it; and its codes for bad frames become ours.
 */
class ClientSocket extends WebSocket {
  connection: SocketConnection | undefined;

  override close(code?: number, reason?: string | Buffer): void {
    if (this.connection !== undefined) this.connection.outlet.isOpen = false;
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
    const url = URL.parse(req.url ?? '/', 'http://localhost');
    const isOrders = url?.pathname === '/ws/orders';
    if (url === null || (!isOrders && url.pathname !== '/ws')) throw problem('not_found');
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
      draining: undefined,
      blockedSince: undefined,
    };
    const connection: SocketConnection = {
      ...{ id: randomUUID(), outlet, principal, ws, token, subscriptions: new Map(), receiver: undefined },
      send,
      close,
      ping,
      unanswered: 0,
      nextBeatAt: 0,
      isWarned: false,
    };
    ws.connection = connection;
    ws.on('error', onError).on('close', onClose);
    // Its rights may have ended while it was let in, when nobody could find it to cut it.
    if (credentials.isRevoked(principal)) {
      connections.close(connection, 'unauthenticated');
      return;
    }
    if (!connections.hasRoom(principal)) {
      connections.close(connection, 'tooMany');
      return;
    }
    connections.add(connection);
    ws.on('pong', onPong).on('ping', onPing).on('message', onMessage);
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

  // Functions of `this`, not closures: a dozen of those for each of ten thousand clients is a tenth of their memory.
  function send(this: SocketConnection, message: ServerMessage): void {
    const { outlet } = this;
    if (!outlet.isOpen) return;
    outlet.socket.write(messageFrame('ws', message));
    letGoWhoReadsNothing(this);
  }

  function close(this: SocketConnection, reason: CloseReason): void {
    this.ws.close(closeCodeOf(reason));
  }

  function ping(this: SocketConnection): void {
    this.ws.ping();
  }

  function letGoWhoReadsNothing(connection: Connection): void {
    if (connection.outlet.socket.writableLength > unsentBytesMax) connections.close(connection, 'tooSlow');
  }

  function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
    const connection = connectionOf(this);
    if (connection !== undefined) receiverOf(connection).message(isBinary ? undefined : data.toString());
  }

  /** ws has answered already. A client that sends pings without end, or reads no answer, is let go. */
  function onPing(this: WebSocket): void {
    const connection = connectionOf(this);
    if (!connection?.outlet.isOpen) return;
    receiverOf(connection).ping();
    letGoWhoReadsNothing(connection);
  }

  function onPong(this: WebSocket): void {
    const connection = connectionOf(this);
    if (connection !== undefined) connection.unanswered = 0;
  }

  function receiverOf(connection: SocketConnection): Receiver {
    connection.receiver ??= createReceiver(parts, connection, connection.token);
    return connection.receiver;
  }

  function onError(this: WebSocket, error: Error): void {
    log.debug('socket fault', { connection_id: connectionOf(this)?.id, error });
  }

  function onClose(this: WebSocket, code: number): void {
    const connection = connectionOf(this);
    if (connection !== undefined) connections.remove(connection);
    log.debug('socket closed', { connection_id: connection?.id, code });
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

function connectionOf(ws: WebSocket): SocketConnection | undefined {
  return ws instanceof ClientSocket ? ws.connection : undefined;
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
