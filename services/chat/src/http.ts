/** The service's HTTP, noun by noun. */
import type { Api } from '@ragline/web/api';
import { addConversationRoutes, type ConversationParts } from './http-conversations.ts';
import { addMessageRoutes, type MessageParts } from './http-messages.ts';

export type HttpParts = ConversationParts & MessageParts;

export function addRoutes(api: Api, parts: HttpParts): void {
  addConversationRoutes(api, parts);
  addMessageRoutes(api, parts);
}
