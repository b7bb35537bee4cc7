/** What the items of the streams are: OpenAPI 3.2's `itemSchema`, from the same schemas as the sockets' messages. */
import { shownEvents } from './event-schemas.ts';
import type { Json } from './openapi.ts';
import { serverMessages } from './socket-messages.ts';

const text = { type: 'string' };
const id = { ...text, description: 'A cursor: `Last-Event-ID` resumes from it.' };
const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: object) => ({
  ...text,
  contentMediaType: 'application/json',
  contentSchema: schema,
});

/** One server-sent event, as OpenAPI 3.2 sees it: its fields, of which `data` is text. */
function item(title: string, event: object, data: object, hasId = true): Json {
  return {
    ...{ title, type: 'object' },
    required: ['event', 'data', ...(hasId ? ['id'] : [])],
    properties: { ...(hasId ? { id } : {}), event, data },
  };
}

const typed = (...names: string[]) => ({ ...text, examples: names });
const gap = item('gap', { const: 'gap' }, json(serverMessages.gap.payload), false);
const beat = item('cursor', { const: 'cursor' }, { const: '{}' });
const retry = {
  title: 'retry',
  type: 'object',
  required: ['retry'],
  properties: { retry: { type: 'integer' } },
};

const orders = item(
  'an order moved',
  typed('order_created', 'order_status_changed', 'order_cancelled'),
  json(reference('LiveOrderEvent')),
);
const others = [
  item(
    'a notification was made or read, or what you want to hear of was changed',
    typed(
      'notification_created',
      'notification_read',
      'notifications_read_all',
      'notification_preferences_changed',
    ),
    json(reference('LiveNotificationEvent')),
  ),
  item(
    'an answer comes about',
    typed('message_delta', 'citation', 'message_completed', 'message_failed'),
    json(reference('LiveChatEvent')),
  ),
];
const ofPlane = [
  beat,
  gap,
  item('recovered', { const: 'recovered' }, json(serverMessages.recovered.payload), false),
  item('auth_expiring', { const: 'auth_expiring' }, json(serverMessages.auth_expiring.payload), false),
  item('goaway', { const: 'goaway' }, json(serverMessages.goaway.payload), false),
  retry,
];
const answer = item(
  'an answer comes about',
  typed('message_delta', 'citation', 'message_completed', 'message_failed'),
  json(reference('ChatEventData')),
);

/** `data` of the live plane's streams is what its sockets send; of a conversation's it is the event alone. */
export function streamSchemas(): Json {
  return {
    ...shownEvents(),
    LiveOrderEvent: serverMessages.orderEvent.payload,
    LiveNotificationEvent: serverMessages.notificationEvent.payload,
    LiveChatEvent: serverMessages.chatEvent.payload,
    OrderStreamItem: { anyOf: [orders, ...ofPlane] },
    StreamItem: { anyOf: [orders, ...others, ...ofPlane] },
    ConversationStreamItem: { anyOf: [answer, beat, gap, retry] },
  };
}

/** By path; other streams say for themselves what their items are. */
export const streamItems: Record<string, Json> = {
  '/v1/events': reference('StreamItem'),
  '/v1/events/orders': reference('OrderStreamItem'),
  '/v1/conversations/{id}/events': reference('ConversationStreamItem'),
  '/v1/conversations/{id}/messages': reference('ConversationStreamItem'),
  '/v1/conversations/{id}/approvals/{approval_id}': reference('ConversationStreamItem'),
};
