/** The messages of the sockets, for the AsyncAPI document. */
import type { Json } from './openapi.ts';

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const uuid = { type: 'string', format: 'uuid' };
const instant = { type: 'string', format: 'date-time' };
const channel = {
  ...text,
  description: '`orders`, `orders:{id}`, `notifications` or `conversation:{id}`',
  examples: ['orders', 'notifications'],
};
const cursor = { ...text, description: 'Opaque; good for `since` on any instance.' };
const id = { ...text, description: 'Chosen by the client; the answer carries it.' };

function message(type: string, summary: string, properties: Json, required = Object.keys(properties)): Json {
  return {
    name: type,
    summary,
    payload: {
      type: 'object',
      required: ['type', ...required],
      properties: { type: { const: type }, ...properties },
    },
  };
}

export const clientMessages: { [name: string]: Json } = {
  subscribe: message(
    'subscribe',
    'Follow a channel, from a cursor on or from now.',
    { id, channel, since: cursor },
    ['id', 'channel'],
  ),
  unsubscribe: message('unsubscribe', 'Follow it no longer.', { id, channel }),
  auth: message('auth', 'A new access token, before the old one ends.', { id, token: text }),
  ping: message('ping', 'Answered with ok.', { id }),
  read: message('read', 'Marks a notification as read.', { id, notification_id: uuid }),
};

const conversation_id = uuid;

/** What one says on `/ws/chat`; `auth` and `ping` are as on the others. */
export const chatClientMessages: { [name: string]: Json } = {
  message: message(
    'message',
    'A question. ok has the ids of its turn; its answer comes as events of `conversation:{id}`, and so does what follows there.',
    {
      id,
      conversation_id,
      content: { ...text, maxLength: 8000 },
      idempotency_key: { ...text, description: 'The same again is the same question, and is told again.' },
    },
    ['id', 'conversation_id', 'content'],
  ),
  subscribeConversation: message(
    'subscribe',
    'Follow a conversation, from a cursor on or from now.',
    { id, conversation_id, since: cursor },
    ['id', 'conversation_id'],
  ),
  unsubscribeConversation: message('unsubscribe', 'Follow it no longer.', { id, conversation_id }),
  stop: message('stop', 'Stop what is being answered.', { id, conversation_id }),
};

/** @param eventData schemas of what events carry */
export function serverMessages(eventData: Json[]): { [name: string]: Json } {
  return {
    welcome: message('welcome', 'First on every socket.', {
      connection_id: text,
      heartbeat_ms: count,
      max_bytes: count,
    }),
    ok: message('ok', 'Done as asked.', { id }),
    error: message('error', 'Not done, and why.', { id, code: text }),
    event: message('event', 'Something happened.', {
      channel,
      cursor,
      id: { ...uuid, description: 'The event id.' },
      event_type: text,
      occurred_at: instant,
      data: { anyOf: eventData },
    }),
    recovered: message('recovered', 'All that was missed has been sent; live from here.', {
      channel,
      count,
      complete: { type: 'boolean' },
    }),
    gap: message('gap', 'Some of it cannot be had: read REST again. Live from here.', {
      channel,
      reason: text,
    }),
    cursor: message('cursor', 'The present position, with each heartbeat.', { channel, cursor }),
    auth_expiring: message('auth_expiring', 'The token ends soon; send auth.', { in_ms: count }),
    goaway: message('goaway', 'This instance stops; come back after the given time.', {
      reconnect_after_ms: count,
    }),
  };
}
