/** Messages over HTTP: asking, reading, stopping. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { idempotencyKey } from '@ragline/web/fields';
import { decodePageCursor, pageOf, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import type { Answers } from './answers.ts';
import { prefersAsync, respond } from './respond.ts';
import { accepted, answered, idParams, listQuery, message, newMessage, stopped } from './shapes.ts';
import type { ConversationStore } from './turn/conversations.ts';
import type { TurnRequests } from './turn/requests.ts';

const tags = ['chat'];

export type MessageParts = {
  pool: Pool;
  conversations: ConversationStore;
  requests: TurnRequests;
  answers: Answers;
};

const position = {
  'stream-position': 'A cursor taken before the question was: good for `since` of `GET …/events`.',
};

export function addMessageRoutes(api: Api, { pool, conversations, requests, answers }: MessageParts): void {
  api.route(
    {
      method: 'post',
      path: '/v1/conversations/{id}/messages',
      summary: 'Ask something',
      description:
        'With `Accept: text/event-stream` the answer streams: `id:` is a cursor, `event:` the event type, `data:` the event as on `chat.events.v1`; the stream ends after `message_completed`, `message_failed` or `message_stopped`, and leaving it stops nothing. Else the answer is waited for and comes whole; a failed one has `state: failed` and its `error_code`. What takes too long, or is asked with `Prefer: respond-async`, is 202. The same key and body again give the same answer, which streams once more.',
      tags,
      auth: 'customer',
      params: idParams,
      headers: z.object({
        'idempotency-key': idempotencyKey.optional(),
        prefer: z
          .string()
          .max(1_000)
          .optional()
          .meta({ description: '`respond-async`: 202 at once.', example: 'respond-async' }),
      }),
      body: newMessage,
      problems: ['budget_exhausted'],
      responses: {
        200: {
          schema: answered,
          description: 'The answer; as a stream with `Accept: text/event-stream`.',
          alsoAs: { 'text/event-stream': {} },
          headers: position,
        },
        202: {
          schema: accepted,
          headers: { ...position, 'Preference-Applied': '`respond-async`, when that was asked for.' },
          links: {
            events: {
              to: 'GET /v1/conversations/{id}/events',
              parameters: { id: '$request.path.id', since: '$response.header.Stream-Position' },
            },
            stop: { to: 'POST /v1/conversations/{id}/stop', parameters: { id: '$request.path.id' } },
          },
        },
      },
    },
    async ({ params: { id }, headers, body: { content }, principal, req, res }) => {
      const key = headers['idempotency-key'];
      // Before it is asked: an answer that cannot be read is not wanted.
      if (!prefersAsync(req)) answers.requireRoom(principal);
      const asked = await answers.ask(principal, { conversation_id: id, content }, key);
      return respond(answers, { principal, asked, req, res });
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
