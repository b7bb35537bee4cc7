/** REST of parked keys. */
import type { Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { text, timestamp, uuid } from '@ragline/web/fields';
import { decodePageCursor, pageOf, pageQuery, toPage } from '@ragline/web/pages';
import { z } from 'zod';
import { actorOf } from './audit.ts';
import { parkedKeyExample } from './examples.ts';
import { mayRead, noBody, tags } from './http.ts';
import { parkedKeys, releaseLine } from './parked.ts';

const lineId = z.string().regex(/^[1-9]\d{0,15}$/);

const parkedKey = z
  .object({
    id: z.string(),
    group: z.string(),
    topic: z.string(),
    partition: z.int(),
    key: z.string().nullable().meta({ description: 'Its text, or `base64:` and its bytes.' }),
    tenant_id: z.string().nullable(),
    since: timestamp,
    followers: z.int().meta({ description: 'Records that wait behind the head.' }),
    detached: z
      .boolean()
      .meta({ description: 'A record without a place: released or restored; nothing queues behind it.' }),
    head: z.object({
      event_id: z.string().nullable(),
      dead_letter_id: uuid.nullable().meta({ description: 'Null until it has been given up.' }),
      attempt: z.int().meta({ description: 'How often it has failed.' }),
      not_before: timestamp
        .nullable()
        .meta({ description: 'When it is tried next; null: it waits for somebody.' }),
      is_dead: z.boolean(),
      error_code: z.string().nullable(),
      error_message: z.string().nullable(),
    }),
  })
  .meta({ id: 'ParkedKey', examples: [parkedKeyExample] });

export function addParkedRoutes(api: Api, { pool }: { pool: Pool }): void {
  api.route(
    {
      method: 'get',
      path: '/v1/parked-keys',
      summary: 'Keys whose records wait in order behind one that failed',
      tags,
      auth: mayRead,
      query: z.object({
        ...pageQuery,
        group: text(255, 1).optional().meta({ description: 'The consumer group.' }),
        topic: text(255, 1).optional().meta({ description: 'The topic that it reads.' }),
      }),
      responses: { 200: pageOf(parkedKey) },
    },
    async ({ query: { limit, cursor, group, topic }, principal }) => {
      const after = decodePageCursor(cursor, z.tuple([lineId]))?.[0];
      const page = { after: after === undefined ? undefined : Number(after), limit };
      const lines = await parkedKeys(pool, actorOf(principal), { group, topic }, page);
      return { status: 200, body: toPage(lines, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/parked-keys/{id}/release',
      summary: 'Give up the place of the head, and handle those behind it',
      description:
        'The head waits on beside its line, as a dead letter. 409 `busy` while it is being tried, `already_handled` when it has just been.',
      tags,
      auth: mayRead,
      params: z.object({ id: lineId.meta({ description: 'Of the parked key.' }) }),
      body: noBody,
      problems: ['conflict', 'busy', 'already_handled'],
      responses: {
        200: {
          schema: z.object({ id: z.string().meta({ example: '17' }), dead_letter_id: uuid.nullable() }),
          links: {
            letter: { to: 'GET /v1/dead-letters/{id}', parameters: { id: '$response.body#/dead_letter_id' } },
          },
        },
      },
    },
    async ({ params: { id }, principal }) => ({
      status: 200,
      body: await releaseLine(pool, actorOf(principal), id),
    }),
  );
}
