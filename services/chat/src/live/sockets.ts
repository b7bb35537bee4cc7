/** `/ws/chat`: the upgrade, heartbeats, and the end of a socket. */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Principal } from '@ragline/web/principal';
import { Problem, problem, problemBody } from '@ragline/web/problems';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { type Conversing, type ConversingParts, createConversing, type Wire } from './conversing.ts';
import {
  closeCodes,
  frameBytesMax,
  frameFaultCodes,
  type SocketCloseReason,
  subprotocol,
} from './protocol.ts';

const path = '/ws/chat';
// What may wait in this process for one client before the next event waits for it, and for how long.
const unsentBytesMax = 256 * 1024;
const slowMs = 30_000;
const unansweredMax = 2;
const closeWithinMs = 5_000;

/** A class because ws makes its sockets itself and offers this way to have its codes for bad frames become ours. */
class ClientSocket extends WebSocket {
  override close(code?: number, reason?: string | Buffer): void {
    super.close(code !== undefined && frameFaultCodes.has(code) ? closeCodes.malformed : code, reason);
  }
}

export type Sockets = ReturnType<typeof createSockets>;

export function createSockets(parts: ConversingParts & { isReady: () => boolean }) {
  const { credentials, isReady, heartbeatMs, log } = parts;
  const open = new Set<{ wire: Wire; ws: ClientSocket }>();
  const server = new WebSocketServer({
    ...{ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: frameBytesMax },
    WebSocket: ClientSocket,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });

  async function admit(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = URL.parse(req.url ?? '/', 'http://localhost');
    if (url === null || url.pathname !== path) throw problem('not_found');
    if (!isReady()) throw problem('unavailable', 'This instance is not ready; another one may be.');
    credentials.checkOrigin(req);
    const { principal } = await credentials.ofSocket(req, url);
    server.handleUpgrade(req, socket, head, (ws) => begin(ws, principal));
  }

  function begin(ws: ClientSocket, principal: Principal): void {
    let unanswered = 0;
    const wire: Wire = {
      async send(message) {
        if (ws.readyState !== WebSocket.OPEN) return false;
        const text = JSON.stringify(message);
        if (ws.bufferedAmount < unsentBytesMax) {
          ws.send(text);
          return true;
        }
        return sent(ws, text);
      },
      close(reason) {
        closeSocket(ws, reason);
      },
    };
    let client: Conversing;
    try {
      client = createConversing(parts, wire, principal);
    } catch (error) {
      const isFull = error instanceof Problem && error.code === 'rate_limited';
      closeSocket(ws, isFull ? 'tooMany' : 'unauthenticated');
      return;
    }
    const entry = { wire, ws };
    open.add(entry);
    const timer = setInterval(() => {
      // While it reads nothing our ping is stuck behind the events: being slow has its own limit.
      if (ws.bufferedAmount >= unsentBytesMax) return;
      if (unanswered >= unansweredMax) return closeSocket(ws, 'noHeartbeat');
      unanswered += 1;
      ws.ping();
    }, heartbeatMs);
    ws.on('error', (error) => log.debug('socket fault', { error }));
    ws.on('pong', () => {
      unanswered = 0;
    });
    ws.on('message', (data: RawData, isBinary: boolean) => {
      unanswered = 0;
      client.message(isBinary ? undefined : data.toString());
    });
    ws.on('close', () => {
      clearInterval(timer);
      open.delete(entry);
      client.end();
    });
  }

  return {
    count: (): number => open.size,

    /** For the `upgrade` event of an HTTP server: refuses with a problem, or takes the socket over. */
    upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
      // Until ws takes over, nobody else listens for what a vanished client causes.
      const onError = () => socket.destroy();
      socket.on('error', onError);
      admit(req, socket, head)
        .then(() => socket.off('error', onError))
        .catch((error: unknown) => {
          if (!(error instanceof Problem)) log.error('upgrade failed', { error });
          refuse(socket, error instanceof Problem ? error : problem('internal'));
        });
    },

    /** Sends everyone elsewhere, each a little later than the other. */
    async stop(graceMs = 1_000): Promise<void> {
      const all = [...open];
      for (const { wire } of all) {
        void wire.send({ type: 'goaway', reconnect_after_ms: Math.round(Math.random() * graceMs) });
      }
      for (const { ws } of all) closeSocket(ws, 'restart');
    },
  };
}

/** Waits until this message is out; false when that takes too long. */
async function sent(ws: WebSocket, text: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), slowMs);
  ws.send(text, (error) => resolve(!error));
  const isSent = await promise;
  clearTimeout(timer);
  return isSent;
}

function closeSocket(ws: WebSocket, reason: SocketCloseReason): void {
  if (ws.readyState !== WebSocket.OPEN) return;
  ws.close(closeCodes[reason]);
  // A client that reads nothing would never answer the close.
  const timer = setTimeout(() => ws.terminate(), reason === 'tooSlow' ? 0 : closeWithinMs);
  ws.once('close', () => clearTimeout(timer));
}

/** Before the upgrade: a plain HTTP answer with a problem. */
function refuse(socket: Duplex, known: Problem): void {
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
