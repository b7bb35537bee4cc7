/** Messages over HTTP: asking, reading, stopping. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { decodePageCursor, pageOf, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { accepted, idParams, listQuery, message, newMessage, stopped } from './shapes.ts';
import type { ConversationStore } from './turn/conversations.ts';
import type { TurnRequests } from './turn/requests.ts';

const tags = ['chat'];

export type MessageParts = { pool: Pool; conversations: ConversationStore; requests: TurnRequests };

export function addMessageRoutes(api: Api, { pool, conversations, requests }: MessageParts): void {
  api.route(
    {
      method: 'post',
      path: '/v1/conversations/{id}/messages',
      summary: 'Ask something',
      tags,
      auth: 'customer',
      params: idParams,
      body: newMessage,
      responses: { 202: accepted },
    },
    async ({ params: { id }, body: { content }, principal }) => {
      const asked = await inTenant(pool, principal.tenant_id, (client) =>
        requests.requestTurn(client, { who: principal, conversation_id: id, content }),
      );
      return { status: 202, body: asked };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/conversations/{id}/messages',
      summary: 'What was said, the first message first',
      tags,
      auth: 'customer',
      params: idParams,
      query: listQuery,
      responses: { 200: pageOf(message) },
    },
    async ({ params: { id }, query: { limit, cursor }, principal }) => {
      const after = decodePageCursor(cursor, z.tuple([z.int()]))?.[0] ?? 0;
      const rows = await conversations.messages(principal, id, { after, limit });
      if (rows === undefined) throw problem('not_found');
      const { data, next_cursor } = toPage(rows, limit, ({ position }) => [position]);
      return { status: 200, body: { data: data.map(({ position: _, ...it }) => it), next_cursor } };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/conversations/{id}/stop',
      summary: 'Stop what is being answered',
      description: 'The answer so far is kept. What an approval brings with it goes on.',
      tags,
      auth: 'customer',
      params: idParams,
      responses: { 202: stopped },
    },
    async ({ params: { id }, principal }) => {
      const turns = await inTenant(pool, principal.tenant_id, (client) =>
        requests.requestStop(client, { who: principal, conversation_id: id }),
      );
      return { status: 202, body: { turns } };
    },
  );
}
