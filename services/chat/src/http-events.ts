/** A conversation as a stream of events: resumed from any cursor, on any instance. */

import type { Api } from '@ragline/web/api';
import { type Credentials, streamCookie } from '@ragline/web/credentials';
import { problem } from '@ragline/web/problems';
import { stateOf } from '@ragline/web/request-state';
import type { Request } from 'express';
import { z } from 'zod';
import type { Answers } from './answers.ts';
import { idParams } from './shapes.ts';
import type { ConversationStore } from './turn/conversations.ts';

export type EventParts = {
  conversations: ConversationStore;
  answers: Answers;
  credentials: Credentials;
};

/** The cookie of a stream that was opened by a ticket, for EventSource to come back with. */
export const eventsCookie = 'ragline_conversation';

const query = z.object({
  since: z.string().max(4096).optional().meta({ description: 'A cursor: what came after it comes first.' }),
  ticket: z.string().max(512).optional().meta({ description: 'Of `POST /v1/auth/tickets`.' }),
});

export function addEventRoutes(api: Api, { conversations, answers, credentials }: EventParts): void {
  api.route(
    {
      method: 'get',
      path: '/v1/conversations/{id}/events',
      summary: 'What happens in a conversation, as server-sent events',
      description:
        'From `Last-Event-ID` or `?since=` on, else from now. `id:` is a cursor, good on every instance for a day; `event: gap` says that what was missed cannot be had: read the messages again. At the start and every 15 s an `event: cursor` with `data: {}`. Ends with the access token. Instead of a bearer token, `?ticket=` of `POST /v1/auth/tickets`; then a cookie for this path lets an `EventSource` reconnect.',
      tags: ['chat'],
      // By token, ticket or cookie: see credentials.
      auth: 'none',
      credentials: ['bearer', 'ticket', 'cookie'],
      params: idParams,
      query,
      responses: {
        200: { description: 'A stream of events.', alsoAs: { 'text/event-stream': {} } },
      },
    },
    async ({ params: { id }, query: { since }, req, res }) => {
      credentials.checkOrigin(req);
      const caller = await credentials.ofStream(req, new URL(req.originalUrl, 'http://localhost'));
      const { principal } = caller;
      stateOf(req).principal = principal;
      if ((await conversations.find(principal, id)) === undefined) throw problem('not_found');
      // Before anything is read again for it.
      answers.requireRoom(principal);
      const subscription = answers.follow(principal, id, lastEventId(req) ?? since);
      const path = `/v1/conversations/${id}/events`;
      const at = { name: eventsCookie, path, now: Date.now(), isSecure: isSecure(req) };
      const headers: Record<string, string> = caller.isTicketed
        ? { 'set-cookie': streamCookie(caller, at) }
        : {};
      await answers.stream({ req, res }, { principal, turn: undefined, subscription }, headers);
    },
  );
}

function lastEventId({ headers }: Request): string | undefined {
  const id = headers['last-event-id'];
  return typeof id === 'string' && id !== '' ? id : undefined;
}

const isSecure = (req: Request) => req.headers['x-forwarded-proto'] === 'https' || req.secure;
