/** Server-sent events: the same channels as one stream over HTTP. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@ragline/runtime/logger';
import { type Caller, type Credentials, streamCookie } from '@ragline/web/credentials';
import { Problem, problem, sendProblem } from '@ragline/web/problems';
import { type Channel, selectorsOf, withoutOverlap } from './channels.ts';
import type { Connection, Connections } from './connections.ts';
import type { LiveCore } from './core.ts';
import { messageFrame } from './frames.ts';
import type { Subscribing } from './subscribing.ts';
import type { Outlet } from './subscription.ts';

export type StreamParts = {
  core: LiveCore;
  connections: Connections;
  credentials: Credentials;
  subscribing: Subscribing;
  isReady: () => boolean;
  isStopping: () => boolean;
  subscriptionsMax: number;
  log: Logger;
  now: () => number;
  /** How long a request waits for this instance to be ready. */
  holdMs?: number;
  /** How long a client may take to read a stream's end. */
  endWithinMs?: number;
};

export const streamCookieAt = { name: 'ragline_events', path: '/v1/events' };
const paths = new Set(['/v1/events', '/v1/events/orders']);
const holdMs = 30_000;
const retryMs = 1_000;
const endWithinMs = 5_000;

export function createStreams(parts: StreamParts) {
  const { core, connections, credentials, subscribing, isReady, isStopping, log, now } = parts;

  /**
   * Waits until this instance is ready. An EventSource gives up for good on any status but 200, and tries again
   * after a cut: so there is no 503 here.
   */
  async function held(req: IncomingMessage): Promise<boolean> {
    const until = now() + (parts.holdMs ?? holdMs);
    while (!isReady()) {
      if (isStopping() || req.socket.destroyed || now() > until) return false;
      await delay(50);
    }
    return true;
  }

  async function open(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.method !== 'GET') throw problem('method_not_allowed', undefined, { headers: { allow: 'GET' } });
    // Chunks are written to the socket past Node's answer, which then must be the one whose turn it is.
    if (req.httpVersion !== '1.1' || res.socket !== req.socket) {
      throw problem('malformed', 'A stream needs HTTP/1.1 and a connection of its own.');
    }
    const url = new URL(req.url ?? '/', 'http://localhost');
    if (!(await held(req))) return void req.socket.destroy();
    credentials.checkOrigin(req);
    const caller = await credentials.ofStream(req, url);
    const channels = await channelsOf(url, caller);
    // Its rights may have ended while its channels were looked for, when nobody could find it to cut it.
    if (credentials.isRevoked(caller.principal)) throw problem('unauthenticated');
    if (!connections.hasRoom(caller.principal)) throw problem('rate_limited', 'Too many connections.');
    if (req.socket.destroyed) return;
    begin(req, res, url, caller, channels);
  }

  async function channelsOf(url: URL, { principal, token }: Caller): Promise<Channel[]> {
    const names = url.pathname === '/v1/events/orders' ? ['orders'] : url.searchParams.getAll('channel');
    if (names.length === 0) throw problem('malformed', 'Name at least one channel: ?channel=orders');
    if (names.length > parts.subscriptionsMax) throw problem('too_large', 'Too many channels.');
    const channels: Channel[] = [];
    for (const name of new Set(names)) {
      const channel = await subscribing.visibleChannel(name, principal, token);
      if (channel === undefined) throw problem('not_found', 'There is no such channel.');
      channels.push(channel);
    }
    return withoutOverlap(channels);
  }

  function begin(
    req: IncomingMessage,
    res: ServerResponse,
    url: URL,
    caller: Caller,
    channels: Channel[],
  ): void {
    const { socket } = req;
    const { principal } = caller;
    const outlet: Outlet = {
      format: 'sse',
      socket,
      isOpen: true,
      draining: undefined,
      blockedSince: undefined,
    };
    const connection: Connection = {
      id: randomUUID(),
      outlet,
      principal,
      subscriptions: new Map(),
      send: (message) => {
        if (outlet.isOpen) socket.write(messageFrame('sse', message));
      },
      close: (reason) => {
        outlet.isOpen = false;
        // A slow one would never read the end; the others are told properly, and get a while to read it.
        if (reason === 'tooSlow') return void socket.destroy();
        const timer = setTimeout(() => socket.destroy(), parts.endWithinMs ?? endWithinMs);
        res.once('close', () => clearTimeout(timer));
        res.end();
      },
      unanswered: 0,
      nextBeatAt: 0,
      isWarned: false,
    };
    res.on('close', () => connections.remove(connection));
    connections.add(connection);
    const isSecure = req.headers['x-forwarded-proto'] === 'https' || 'encrypted' in socket;
    res.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      ...(caller.isTicketed
        ? { 'set-cookie': streamCookie(caller, { ...streamCookieAt, now: now(), isSecure }) }
        : {}),
    });
    // By Node, so that the headers are out before our own chunks. Spread, so that not all come back at once.
    res.write(`retry: ${Math.round(retryMs * (1 + Math.random()))}\n\n`);
    const lastEventId = req.headers['last-event-id'];
    const since =
      (typeof lastEventId === 'string' && lastEventId) || url.searchParams.get('since') || undefined;
    const selectors = channels.flatMap((channel) => selectorsOf(channel, principal));
    const filter = subscribing.filterOf(connection, channels);
    const how = { since, onBadCursor: 'gap', filter } as const;
    const subscription = core.subscribe(outlet, principal.tenant_id, selectors, how);
    if (subscription !== undefined) connection.subscriptions.set('stream', subscription);
  }

  return {
    handles: (req: IncomingMessage): boolean => paths.has(pathOf(req)),

    stream(req: IncomingMessage, res: ServerResponse): void {
      open(req, res).catch((error: unknown) => {
        if (!(error instanceof Problem)) log.error('stream failed', { error });
        const known = error instanceof Problem ? error : problem('internal');
        if (known.status >= 500) req.socket.destroy();
        else sendProblem(res, known, requestIdOf(req));
      });
    },
  };
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

function requestIdOf(req: IncomingMessage): string {
  const given = req.headers['x-request-id'];
  return typeof given === 'string' && /^[\w-]{8,128}$/.test(given) ? given : randomUUID();
}
