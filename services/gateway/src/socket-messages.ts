/** The messages of the sockets, for the AsyncAPI document: each with an example. */
import { eventExamples, messageDelta } from './event-examples.ts';
import type { Json } from './openapi.ts';

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const uuid = { type: 'string', format: 'uuid' };
const instant = { type: 'string', format: 'date-time' };
const channel = {
  ...text,
  maxLength: 128,
  description: '`orders`, `orders:{id}`, `notifications` or `conversation:{id}`',
};
const cursor = { ...text, maxLength: 4_096, description: 'Opaque; good for `since` on any instance.' };
const id = {
  type: ['string', 'integer'],
  maxLength: 128,
  description: 'Chosen by the client; the answer carries it.',
};
const errorCode = {
  ...text,
  description: 'Stable; decide by this. New ones may be added.',
  examples: ['not_found', 'malformed', 'unauthenticated', 'forbidden', 'too_many', 'unavailable'],
};

type Example = Record<string, unknown>;

/** @param example of what stands beside `type`; its fields are those that a message must have, but for `optional` */
function message(type: string, summary: string, properties: Json, example: Example, optional: string[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return {
    name: type,
    title: type,
    summary,
    contentType: 'application/json',
    payload: {
      type: 'object',
      required: ['type', ...required],
      properties: { type: { const: type }, ...properties },
    },
    examples: [{ name: type, payload: { type, ...example } }],
  };
}

export type Messages = { [name: string]: Json };

const aCursor = 'AgAAAAEyOTY0MTkzMDEyMw';
const aConversation = messageDelta.conversation_id;

/** What one says on `/ws` and `/ws/orders`. */
export const clientMessages = {
  subscribe: message(
    'subscribe',
    'Follow a channel, from a cursor on or from now. ok, what was missed, recovered, then what comes.',
    { id, channel, since: cursor },
    { id: 1, channel: 'orders', since: aCursor },
    ['since'],
  ),
  unsubscribe: message('unsubscribe', 'Follow it no longer.', { id, channel }, { id: 2, channel: 'orders' }),
  auth: message(
    'auth',
    'A new access token of the same user, before the old one ends.',
    { id, token: { ...text, maxLength: 8_192 } },
    { id: 3, token: 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln' },
  ),
  ping: message('ping', 'Answered with ok.', { id }, { id: 4 }),
  read: message(
    'read',
    'Marks a notification as read.',
    { id, notification_id: uuid },
    { id: 5, notification_id: '0199d2f4-7a13-7c3e-9b51-6f0d8a2c4e17' },
  ),
} satisfies Messages;

const conversation_id = uuid;
const onConversation = { id: 'a', conversation_id: aConversation };

/** What one says on `/ws/chat` alone; `auth` and `ping` are as on the others. */
export const chatClientMessages = {
  message: message(
    'message',
    'A question. ok has the ids of its turn; its answer comes as events of `conversation:{id}`, and so does what follows there.',
    {
      id,
      conversation_id,
      content: { ...text, minLength: 1, maxLength: 8_000 },
      idempotency_key: {
        ...text,
        minLength: 1,
        maxLength: 255,
        description: 'The same again is the same question, and is told again.',
      },
    },
    { ...onConversation, content: 'When do you open?', idempotency_key: 'q-17' },
    ['idempotency_key'],
  ),
  subscribeConversation: message(
    'subscribe',
    'Follow a conversation, from a cursor on or from now.',
    { id, conversation_id, since: cursor },
    { ...onConversation, since: aCursor },
    ['since'],
  ),
  unsubscribeConversation: message(
    'unsubscribe',
    'Follow it no longer.',
    { id, conversation_id },
    onConversation,
  ),
  stop: message('stop', 'Stop what is being answered.', { id, conversation_id }, onConversation),
} satisfies Messages;

/** What is told in answer to something that was said. */
export const replies = {
  ok: message('ok', 'Done as asked.', { id }, { id: 1 }),
  error: message(
    'error',
    'Not done, and why; the connection stays.',
    { id, code: errorCode },
    { id: 1, code: 'not_found' },
  ),
  okMessage: message(
    'ok',
    'The question is taken; these are the ids of its turn.',
    {
      id,
      turn_id: uuid,
      message_id: uuid,
      answer_id: { ...uuid, description: 'The `message_id` of its events.' },
    },
    {
      ...{ id: 'a', turn_id: messageDelta.turn_id, answer_id: messageDelta.message_id },
      message_id: '0199d2f4-8b27-7d4f-8c62-7a1e9b3d5f28',
    },
  ),
  okStop: message(
    'ok',
    'The turns that were open are asked to end.',
    { id, turns: { type: 'array', items: uuid } },
    { id: 'a', turns: [messageDelta.turn_id] },
  ),
  chatError: message(
    'error',
    'Not done, and why: a code as of REST. The connection stays.',
    { id, code: errorCode, retry_after_s: { ...count, description: 'When it says so: seconds to wait.' } },
    { id: 'a', code: 'budget_exhausted', retry_after_s: 3_600 },
    ['retry_after_s'],
  ),
} satisfies Messages;

function event(summary: string, data: Json, on: string, example: { event_id: string; event_type: string }) {
  const properties = {
    channel,
    cursor,
    id: { ...uuid, description: 'The event id.' },
    event_type: text,
    occurred_at: instant,
    data,
  };
  const { event_id, event_type } = example;
  const occurred_at = '2026-11-23T09:30:00.000Z';
  return message('event', summary, properties, {
    ...{ channel: on, cursor: aCursor, id: event_id, event_type, occurred_at },
    data: example,
  });
}

const schema = (name: string) => ({ $ref: `#/components/schemas/${name}` });

/** What is told of itself. */
export const serverMessages = {
  welcome: message(
    'welcome',
    'First on every socket.',
    { connection_id: text, heartbeat_ms: count, max_bytes: { ...count, description: 'Of one frame.' } },
    { connection_id: 'b0c7f1de-5a36-4c1b-9f42-0e6d7a8b9c10', heartbeat_ms: 15_000, max_bytes: 65_536 },
  ),
  orderEvent: event(
    'An order moved: on `orders` and `orders:{id}`.',
    schema('OrderEventData'),
    'orders',
    eventExamples.order_v1,
  ),
  notificationEvent: event(
    'A notification was made or read, or what its user wants to hear of was changed: on `notifications`.',
    schema('NotificationEventData'),
    'notifications',
    eventExamples.notification_v1,
  ),
  chatEvent: event(
    'An answer as it comes about: on `conversation:{id}`.',
    schema('ChatEventData'),
    `conversation:${aConversation}`,
    messageDelta,
  ),
  recovered: message(
    'recovered',
    'All that was missed has been sent; live from here.',
    { channel, count, complete: { type: 'boolean' } },
    { channel: 'orders', count: 12, complete: true },
  ),
  gap: message(
    'gap',
    'Some of it cannot be had: read REST again. Live from here.',
    {
      channel,
      reason: {
        ...text,
        examples: ['epoch_changed', 'expired', 'truncated', 'too_old', 'unavailable', 'bad_cursor'],
      },
    },
    { channel: 'orders', reason: 'epoch_changed' },
  ),
  cursor: message(
    'cursor',
    'The present position, with each heartbeat.',
    { channel, cursor },
    { channel: 'orders', cursor: aCursor },
  ),
  auth_expiring: message(
    'auth_expiring',
    'The token ends soon: send auth.',
    { in_ms: { type: 'integer' } },
    { in_ms: 60_000 },
  ),
  goaway: message(
    'goaway',
    'This instance stops: open another connection after that time, with your cursors.',
    { reconnect_after_ms: count },
    { reconnect_after_ms: 420 },
  ),
} satisfies Messages;

export const closeCodes = [
  [
    4400,
    'Malformed or oversize: no JSON, an unknown `type`, a missing field, a binary frame.',
    'Mend the client.',
  ],
  [4401, 'The token ended or was revoked.', 'Sign in again, reconnect with the cursor.'],
  [4408, 'Two heartbeats (WebSocket pings) in a row were not answered.', 'Reconnect with the cursor.'],
  [4409, 'Nothing was read for 30 s while events were waiting.', 'Reconnect with the cursor.'],
  [4429, 'Too many messages, or too many connections.', 'Wait, then reconnect.'],
  [1012, 'This instance restarts.', 'Reconnect with the cursor.'],
] as const;
