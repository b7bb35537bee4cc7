/** Conversations over HTTP: each is its owner's alone. */
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import type { Api } from '@ragline/web/api';
import { idempotencyKey } from '@ragline/web/fields';
import { hashRequest, idempotent } from '@ragline/web/idempotency';
import { decodePageCursor, pageOf, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { conversation, idParams, listQuery, newConversation } from './shapes.ts';
import type { ConversationStore } from './turn/conversations.ts';

const tags = ['chat'];
const idOfBody = { id: '$response.body#/id' };
const links = {
  ask: { to: 'POST /v1/conversations/{id}/messages', parameters: idOfBody },
  messages: { to: 'GET /v1/conversations/{id}/messages', parameters: idOfBody },
  events: { to: 'GET /v1/conversations/{id}/events', parameters: idOfBody },
} as const;

export type ConversationParts = { idempotency: IdempotencyStore; conversations: ConversationStore };

export function addConversationRoutes(api: Api, { idempotency, conversations }: ConversationParts): void {
  api.route(
    {
      method: 'post',
      path: '/v1/conversations',
      summary: 'Open a conversation',
      tags,
      auth: 'customer',
      headers: z.object({ 'idempotency-key': idempotencyKey.optional() }),
      body: newConversation,
      responses: {
        201: { schema: conversation, headers: { location: 'Where the conversation is.' }, links },
      },
    },
    async ({ principal, headers, body }) => {
      const key = headers['idempotency-key'];
      const requestHash = hashRequest('POST', '/v1/conversations', body);
      return idempotent({ store: idempotency, principal, key, requestHash }, async (client) => {
        const opened = await conversations.open(client, principal);
        return { status: 201, body: opened, headers: { location: `/v1/conversations/${opened.id}` } };
      });
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/conversations',
      summary: 'Your conversations, the newest first',
      tags,
      auth: 'customer',
      query: listQuery,
      responses: { 200: pageOf(conversation) },
    },
    async ({ query: { limit, cursor }, principal }) => {
      const before = decodePageCursor(cursor, z.tuple([z.uuid()]))?.[0];
      const rows = await conversations.list(principal, { before, limit });
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/conversations/{id}',
      summary: 'One conversation',
      tags,
      auth: 'customer',
      params: idParams,
      responses: { 200: { schema: conversation, links } },
    },
    async ({ params: { id }, principal }) => {
      const found = await conversations.find(principal, id);
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: found };
    },
  );
}
