import WebSocket from 'ws';
import type { SeenEvent } from './history.ts';
import type { Session } from './session.ts';

export type Watcher = {
  seen: SeenEvent[];
  /** Reasons of the gaps that the server announced: each is a hole that it admitted. */
  gaps: string[];
  connects: () => number;
  /** When the last event arrived, in ms since the epoch; 0 before the first. */
  lastEventAt: () => number;
  stop(): Promise<void>;
};

/**
 * Watches `orders` on /ws as a careful client does: it keeps the last cursor, and after any break it
 * connects again and subscribes from there.
 */
export async function watch(session: Session): Promise<Watcher> {
  const seen: SeenEvent[] = [];
  const gaps: string[] = [];
  let cursor: string | undefined;
  let connects = 0;
  let lastEventAt = 0;
  let socket: WebSocket | undefined;
  let stopped = false;
  let retry: NodeJS.Timeout | undefined;
  const subscribed = Promise.withResolvers<void>();

  const connect = async () => {
    if (stopped) return;
    const token = await session.token().catch(() => undefined);
    if (stopped) return;
    if (token === undefined) return again();
    socket = new WebSocket(`${session.url.replace(/^http/, 'ws')}/ws`, ['ragline.v1.json'], {
      headers: { authorization: `Bearer ${token}` },
      handshakeTimeout: 5_000,
    });
    // A process that is frozen keeps its sockets open and says nothing: silence is a break too.
    let silence = setTimeout(() => socket?.terminate(), silenceMs);
    socket.on('open', () => {
      connects += 1;
      socket?.send(JSON.stringify({ type: 'subscribe', id: '1', channel: 'orders', since: cursor }));
    });
    socket.on('message', (data) => {
      clearTimeout(silence);
      silence = setTimeout(() => socket?.terminate(), silenceMs);
      take(JSON.parse(data.toString()));
    });
    socket.on('ping', () => silence.refresh());
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(silence);
      again();
    });
  };
  const again = () => {
    if (!stopped) retry = setTimeout(connect, 100);
  };
  const take = (message: ServerMessage) => {
    if (message.type === 'ok') subscribed.resolve();
    if (message.type === 'gap') gaps.push(message.reason);
    if (message.type === 'cursor') cursor = message.cursor;
    if (message.type !== 'event') return;
    cursor = message.cursor;
    lastEventAt = Date.now();
    const { order, tenant_id } = message.data;
    seen.push({ event_id: message.id, tenant_id, order_id: order.id, version: order.version });
  };

  await connect();
  await subscribed.promise;
  return {
    seen,
    gaps,
    connects: () => connects,
    lastEventAt: () => lastEventAt,
    async stop() {
      stopped = true;
      clearTimeout(retry);
      if (!socket || socket.readyState === WebSocket.CLOSED) return;
      const closed = new Promise<void>((resolve) => socket?.once('close', () => resolve()));
      socket.terminate();
      await closed;
    },
  };
}

/** Two heartbeats of the server and a little: see PROTOCOL.md of the notifications service. */
const silenceMs = 35_000;

type ServerMessage =
  | {
      type: 'event';
      id: string;
      cursor: string;
      data: { tenant_id: string; order: { id: string; version: number } };
    }
  | { type: 'cursor'; cursor: string }
  | { type: 'gap'; reason: string }
  | { type: 'ok' | 'welcome' | 'error' | 'recovered' | 'goaway' };
