/** The service's HTTP, noun by noun. */
import type { Api } from '@ragline/web/api';
import { addConversationRoutes, type ConversationParts } from './http-conversations.ts';
import { addEventRoutes, type EventParts } from './http-events.ts';
import { addMessageRoutes, type MessageParts } from './http-messages.ts';

export type HttpParts = ConversationParts & MessageParts & EventParts;

export function addRoutes(api: Api, parts: HttpParts): void {
  addConversationRoutes(api, parts);
  addMessageRoutes(api, parts);
  addEventRoutes(api, parts);
}
