/** The messages of one client, in order, with what each may do. */
import type { Logger } from '@ragline/runtime/logger';
import type { Principal } from '@ragline/web/auth';
import type { Credentials } from '@ragline/web/credentials';
import { Problem } from '@ragline/web/problems';
import { type Channel, selectorsOf } from './channels.ts';
import type { Connection, Connections } from './connections.ts';
import type { LiveCore, SubscribeHow } from './core.ts';
import { type ClientMessage, clientMessageFrom, type ErrorCode, type MessageId } from './protocol.ts';
import type { Subscribing } from './subscribing.ts';

export type MarkRead = (principal: Principal, notificationId: string) => Promise<'read' | 'not_found'>;

export type MessageParts = {
  core: LiveCore;
  connections: Connections;
  credentials: Credentials;
  subscribing: Subscribing;
  markRead: MarkRead;
  subscriptionsMax: number;
  /** Messages a second and at once; undefined: no limit. */
  flood: { perSecond: number; burst: number } | undefined;
  log: Logger;
  now: () => number;
};

type Message<T extends ClientMessage['type']> = Extract<ClientMessage, { type: T }>;

/**
 * Messages of one client that wait for those before them: each may ask another service, with its own time to answer.
 * More than one read of a socket can hold, since those are all counted before the first is handled.
 */
const waitingMax = 5_000;
const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** False when the cursor is none of ours. A channel that is subscribed to already begins anew. */
export function subscribe(
  core: LiveCore,
  connection: Connection,
  channel: Channel,
  how: SubscribeHow,
): boolean {
  const { outlet, principal, subscriptions } = connection;
  const before = subscriptions.get(channel.name);
  const subscription = core.subscribe(outlet, principal.tenant_id, selectorsOf(channel, principal), how);
  if (subscription === undefined) return false;
  if (before !== undefined) core.unsubscribe(before);
  subscriptions.set(channel.name, subscription);
  return true;
}

export type Receiver = {
  /** Takes one message; undefined stands for one that is no text. */
  message(text: string | undefined): void;
  /** Takes one ping frame: answered by now, counted like a message. */
  ping(): void;
};

/** What to do with each message of a connection; `token` is the one that it was opened with. */
export function createReceiver(parts: MessageParts, connection: Connection, token: string): Receiver {
  const { core, connections, credentials, subscribing, markRead, subscriptionsMax, flood, log, now } = parts;
  const { outlet, subscriptions } = connection;
  let currentToken = token;
  let allowance = flood?.burst ?? 0;
  let lastAt = now();
  let last: Promise<void> | undefined;
  let waiting = 0;

  const ok = (id: MessageId) => connection.send({ type: 'ok', id });
  const error = (id: MessageId, code: ErrorCode) => connection.send({ type: 'error', id, code });

  function isFlooding(): boolean {
    if (flood === undefined) return false;
    const at = now();
    allowance = Math.min(flood.burst, allowance + ((at - lastAt) / 1000) * flood.perSecond) - 1;
    lastAt = at;
    return allowance < 0;
  }

  const isFull = (name: string) => !subscriptions.has(name) && subscriptions.size >= subscriptionsMax;

  async function onSubscribe({ id, channel: name, since }: Message<'subscribe'>): Promise<void> {
    if (isFull(name)) return error(id, 'too_many');
    const channel = await subscribing.visibleChannel(name, connection.principal, currentToken);
    if (!outlet.isOpen) return;
    if (channel === undefined) return error(id, 'not_found');
    if (since !== undefined && !core.isCursor(since)) return error(id, 'malformed');
    // Before the first event.
    ok(id);
    const filter = subscribing.filterOf(connection, [channel]);
    subscribe(core, connection, channel, { since, onBadCursor: 'refuse', filter });
  }

  function onUnsubscribe({ id, channel }: Message<'unsubscribe'>): void {
    const subscription = subscriptions.get(channel);
    if (subscription !== undefined) core.unsubscribe(subscription);
    if (subscriptions.delete(channel)) ok(id);
    else error(id, 'not_found');
  }

  async function onAuth({ id, token: fresh }: Message<'auth'>): Promise<void> {
    let principal: Principal;
    try {
      principal = await credentials.verify(fresh);
    } catch (cause) {
      const isAway = cause instanceof Problem && cause.code === 'unavailable';
      return error(id, isAway ? 'unavailable' : 'unauthenticated');
    }
    const { user_id, tenant_id } = connection.principal;
    if (principal.user_id !== user_id || principal.tenant_id !== tenant_id) return error(id, 'forbidden');
    currentToken = fresh;
    connection.principal = principal;
    connection.isWarned = false;
    subscribing.reselect(connection);
    ok(id);
  }

  async function onRead({ id, notification_id }: Message<'read'>): Promise<void> {
    if (!uuidShape.test(notification_id)) return error(id, 'not_found');
    try {
      const outcome = await markRead(connection.principal, notification_id);
      if (outcome === 'read') ok(id);
      else error(id, 'not_found');
    } catch (cause) {
      log.warn('notification not marked as read', { error: cause });
      error(id, 'unavailable');
    }
  }

  async function handle(message: ClientMessage): Promise<void> {
    switch (message.type) {
      case 'subscribe':
        return onSubscribe(message);
      case 'unsubscribe':
        return onUnsubscribe(message);
      case 'auth':
        return onAuth(message);
      case 'ping':
        return ok(message.id);
      case 'read':
        return onRead(message);
    }
  }

  /** One at a time: what a client sends in order takes effect in order. */
  function inOrder(message: ClientMessage): void {
    const run = () => (outlet.isOpen ? handle(message) : undefined);
    waiting += 1;
    const mine = (last === undefined ? Promise.resolve(run()) : last.then(run)).catch((cause: unknown) =>
      log.error('message not handled', { error: cause }),
    );
    last = mine;
    void mine.then(() => {
      waiting -= 1;
      if (last === mine) last = undefined;
    });
  }

  return {
    message(text) {
      if (!outlet.isOpen) return;
      connection.unanswered = 0;
      // Before it is parsed: what is too much costs as little as can be.
      if (isFlooding() || waiting >= waitingMax) return connections.close(connection, 'tooMany');
      const message = text === undefined ? undefined : clientMessageFrom(text);
      if (message === undefined) connections.close(connection, 'malformed');
      else inOrder(message);
    },
    ping() {
      connection.unanswered = 0;
      if (isFlooding()) connections.close(connection, 'tooMany');
    },
  };
}
