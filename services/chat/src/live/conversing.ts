/** One client on `/ws/chat`: what it says, in order, and the events of the conversations that it reads. */
import { randomUUID } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Principal } from '@ragline/web/auth';
import type { Credentials } from '@ragline/web/credentials';
import { problemFrom } from '@ragline/web/problem-from';
import { problem } from '@ragline/web/problems';
import type { Answers } from '../answers.ts';
import type { ConversationStore } from '../turn/conversations.ts';
import type { TurnRequests } from '../turn/requests.ts';
import type { Admission } from './admission.ts';
import type { Feed } from './feed.ts';
import {
  type ClientMessage,
  clientMessageFrom,
  frameBytesMax,
  isConversationId,
  isQuestion,
  type MessageId,
  type ServerMessage,
  type SocketCloseReason,
  subscriptionsMax,
} from './protocol.ts';
import type { Subscription } from './subscription.ts';

export type ConversingParts = {
  pool: Pool;
  feed: Feed;
  answers: Answers;
  admission: Admission;
  credentials: Credentials;
  conversations: ConversationStore;
  requests: TurnRequests;
  /** Messages a second and at once; undefined: no limit. */
  flood: { perSecond: number; burst: number } | undefined;
  heartbeatMs: number;
  log: Logger;
};

/** The socket as this part sees it. */
export type Wire = {
  /** Resolves when the client can take more; false when it took nothing for too long, or is gone. */
  send(message: ServerMessage): Promise<boolean>;
  close(reason: SocketCloseReason): void;
};

export type Conversing = { message(text: string | undefined): void; end(): void };

type Said<T extends ClientMessage['type']> = Extract<ClientMessage, { type: T }>;

const waitingMax = 100;
const warnBeforeMs = 60_000;

/** Throws problems: `unauthenticated`, `rate_limited`. */
export function createConversing(parts: ConversingParts, wire: Wire, caller: Principal): Conversing {
  const { pool, feed, answers, admission, credentials, conversations, requests, flood, log } = parts;
  const reading = new Map<string, Subscription>();
  let principal = caller;
  let isOver = false;
  let place = admission.enter(principal, onRightsEnd);
  let warning = warnLater();
  let allowance = flood?.burst ?? 0;
  let lastAt = Date.now();
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  const ok = (id: MessageId, more: object = {}) => wire.send({ type: 'ok', id, ...more });
  const channelOf = (conversationId: string) => `conversation:${conversationId}`;

  function onRightsEnd(): void {
    wire.close('unauthenticated');
  }

  function warnLater(): NodeJS.Timeout {
    const inMs = principal.expires_at - Date.now() - warnBeforeMs;
    const warn = () => void wire.send({ type: 'auth_expiring', in_ms: principal.expires_at - Date.now() });
    return setTimeout(warn, Math.max(0, inMs));
  }

  /** Sends the conversation's events until it is unsubscribed or the socket closes. */
  async function pump(conversationId: string, subscription: Subscription): Promise<void> {
    const channel = channelOf(conversationId);
    const beat = () => wire.send({ type: 'cursor', channel, cursor: feed.cursorOfReader(subscription) });
    let canTake = await beat();
    while (canTake && !isOver) {
      const taken = await subscription.take(parts.heartbeatMs);
      if (taken.kind === 'closed') {
        if (taken.reason === 'tooSlow') wire.close('tooSlow');
        return;
      }
      if (taken.kind === 'idle') canTake = await beat();
      else if (taken.kind === 'gap')
        canTake = await wire.send({ type: 'gap', channel, reason: taken.reason });
      else {
        const { event, place: at } = taken;
        const { event_id: id, event_type, occurred_at } = event;
        const cursor = feed.cursorOf(conversationId, at);
        canTake = await wire.send({
          type: 'event',
          channel,
          cursor,
          id,
          event_type,
          occurred_at,
          data: event,
        });
      }
    }
    if (!canTake && !isOver) wire.close('tooSlow');
  }

  function read(conversationId: string, subscription: Subscription): void {
    reading.get(conversationId)?.close('closed');
    reading.set(conversationId, subscription);
    pump(conversationId, subscription).catch((error: unknown) => {
      log.error('events not sent', { error });
      wire.close('restart');
    });
  }

  function requireRoom(conversationId: string): void {
    if (!isConversationId(conversationId)) throw problem('not_found');
    if (!reading.has(conversationId) && reading.size >= subscriptionsMax) throw problem('rate_limited');
  }

  async function onMessage({
    id,
    conversation_id,
    content,
    idempotency_key,
  }: Said<'message'>): Promise<void> {
    requireRoom(conversation_id);
    if (!isQuestion(content)) throw problem('invalid');
    const { subscription, turn_id, message_id, answer_id, isReplayed } = await answers.ask(
      principal,
      { conversation_id, content },
      idempotency_key,
    );
    if (isOver) return subscription.close('closed');
    await ok(id, { turn_id, message_id, answer_id });
    // What is read already has the answer too; unless it was asked before, and began before.
    if (reading.has(conversation_id) && !isReplayed) subscription.close('closed');
    else read(conversation_id, subscription);
  }

  async function onSubscribe({ id, conversation_id, since }: Said<'subscribe'>): Promise<void> {
    requireRoom(conversation_id);
    if ((await conversations.find(principal, conversation_id)) === undefined) throw problem('not_found');
    if (isOver) return;
    const subscription = answers.follow(principal, conversation_id, since);
    await ok(id);
    read(conversation_id, subscription);
  }

  async function onUnsubscribe({ id, conversation_id }: Said<'unsubscribe'>): Promise<void> {
    const subscription = reading.get(conversation_id);
    if (subscription === undefined) throw problem('not_found');
    subscription.close('closed');
    reading.delete(conversation_id);
    await ok(id);
  }

  async function onStop({ id, conversation_id }: Said<'stop'>): Promise<void> {
    if (!isConversationId(conversation_id)) throw problem('not_found');
    const who = principal;
    const turns = await inTenant(pool, who.tenant_id, (client) =>
      requests.requestStop(client, { who, conversation_id }),
    );
    await ok(id, { turns });
  }

  async function onAuth({ id, token }: Said<'auth'>): Promise<void> {
    const fresh = await credentials.verify(token);
    if (fresh.user_id !== principal.user_id || fresh.tenant_id !== principal.tenant_id)
      throw problem('forbidden');
    if (isOver) return;
    // The old place first: a full house must not keep out who is in it.
    place.leave();
    try {
      place = admission.enter(fresh, onRightsEnd);
    } catch (error) {
      // Nothing would end it any more.
      wire.close('unauthenticated');
      throw error;
    }
    principal = fresh;
    clearTimeout(warning);
    warning = warnLater();
    await ok(id);
  }

  async function handle(message: ClientMessage): Promise<unknown> {
    // Not left to the timer alone, which may be late.
    if (message.type !== 'auth') admission.requireRights(principal);
    switch (message.type) {
      case 'message':
        return onMessage(message);
      case 'subscribe':
        return onSubscribe(message);
      case 'unsubscribe':
        return onUnsubscribe(message);
      case 'stop':
        return onStop(message);
      case 'auth':
        return onAuth(message);
      case 'ping':
        return ok(message.id);
    }
  }

  async function answered(message: ClientMessage): Promise<void> {
    if (isOver) return;
    try {
      await handle(message);
    } catch (error) {
      const { code, status, headers } = problemFrom(error);
      if (status >= 500) log.warn('message not handled', { type: message.type, error });
      const retryAfter = headers['retry-after'];
      const more = retryAfter === undefined ? {} : { retry_after_s: Number(retryAfter) };
      await wire.send({ type: 'error', id: message.id, code, ...more });
    }
  }

  function isFlooding(): boolean {
    if (flood === undefined) return false;
    const at = Date.now();
    allowance = Math.min(flood.burst, allowance + ((at - lastAt) / 1_000) * flood.perSecond) - 1;
    lastAt = at;
    return allowance < 0;
  }

  void wire.send({
    ...{ type: 'welcome', connection_id: randomUUID(), heartbeat_ms: parts.heartbeatMs },
    max_bytes: frameBytesMax,
  });

  return {
    message(text) {
      if (isOver) return;
      // Before it is parsed: what is too much costs as little as can be.
      if (isFlooding() || waiting >= waitingMax) return wire.close('tooMany');
      const message = text === undefined ? undefined : clientMessageFrom(text);
      if (message === undefined) return wire.close('malformed');
      waiting += 1;
      // One at a time: what a client says in order takes effect in order.
      last = last
        .then(() => answered(message))
        .finally(() => {
          waiting -= 1;
        });
    },
    end() {
      if (isOver) return;
      isOver = true;
      clearTimeout(warning);
      place.leave();
      for (const subscription of reading.values()) subscription.close('closed');
      reading.clear();
    },
  };
}
