/** REST of what people do with one letter: edit, note, replay, discard, restore. */
import type { Answer, Api } from '@ragline/web/api';
import { text } from '@ragline/web/fields';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { type Actor, actorOf } from './audit.ts';
import { discardLetter, restoreLetter } from './discard.ts';
import { type EditParts, editLetter } from './edit.ts';
import type { HeaderChanges } from './edit-rules.ts';
import { letterEditExample } from './examples.ts';
import { etagOf, letterAnswer, letterId, mayRead, noBody, tags } from './http.ts';
import type { LetterRow } from './letter.ts';
import { viewOf } from './letter-view.ts';
import { type ReplayParts, replayLetter } from './replay.ts';
import { inScope } from './scope.ts';
import { wholeLetter } from './store.ts';

export type ActionRouteParts = EditParts & ReplayParts;

const headerText = text(16_384);
const base64 = z
  .string()
  .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64')
  .max(32_768);
const headerValue = z.union([headerText, z.strictObject({ base64 })]);
const headerChange = z.union([headerValue, z.array(headerValue).min(1).max(20), z.null()]);

// No z.record: it would drop a name __proto__ in silence.
const headerChanges = z
  .custom<HeaderChanges>(
    (it) => typeof it === 'object' && it !== null && !Array.isArray(it),
    'must be an object',
  )
  .superRefine((changes, issues) => {
    const names = Object.keys(changes);
    if (names.length > 200) issues.addIssue({ code: 'custom', message: 'must not be more than 200' });
    for (const name of names.slice(0, 200)) {
      const fault =
        name === '__proto__' || !/^[\x21-\x7e]{1,255}$/.test(name) ? 'is no name for a header' : undefined;
      const message = fault ?? headerChange.safeParse(changes[name]).error?.issues[0]?.message;
      if (message !== undefined) issues.addIssue({ code: 'custom', path: [name.slice(0, 100)], message });
    }
  })
  .meta({
    type: 'object',
    additionalProperties: true,
    description:
      'By name: a text (or `{base64}`) sets, null takes away, what is not named stays. `***` leaves a masked one as it was.',
  });

const letterEdit = z
  .strictObject({
    value: z
      .unknown()
      .optional()
      .meta({ description: 'The whole new value, by the schema it was written with.' }),
    headers: headerChanges.optional(),
    note: text(10_000, 1).optional(),
  })
  .refine((edit) => Object.values(edit).some((it) => it !== undefined), 'must name something to change')
  .meta({ id: 'DeadLetterEdit', examples: [letterEditExample] });

const params = letterId;

export function addActionRoutes(api: Api, parts: ActionRouteParts): void {
  const { pool, mask } = parts;

  const answerOf = async (actor: Actor, { id }: Pick<LetterRow, 'id'>): Promise<Answer> => {
    const whole = await inScope(pool, actor.scope, (client) => wholeLetter(client, id));
    if (whole === undefined) throw problem('not_found');
    return { status: 200, body: viewOf(whole, mask), headers: { etag: etagOf(whole.letter) } };
  };

  api.route(
    {
      method: 'patch',
      path: '/v1/dead-letters/{id}',
      summary: 'Edit a dead letter that waits, or add a note',
      description:
        'With `If-Match` (428 without, 412 for another version). The server gives an edited letter a new event id, in header and value, and keeps the first one in `edited-from`. Locked, also inside the value: key, `event_type`, `tenant_id`, `user_id`, and what was added when it was given up (422). A note alone is possible in any state. 403 while editing is off.',
      tags,
      auth: mayRead,
      params,
      headers: z.object({
        'if-match': z
          .string()
          .max(1_000)
          .optional()
          .meta({ description: 'The `ETag` of the letter as you read it; needed.', example: '"1"' }),
      }),
      body: letterEdit,
      problems: ['precondition_required', 'busy', 'conflict', 'already_handled'],
      responses: { 200: letterAnswer },
    },
    async ({ params: { id }, headers, body, principal }) => {
      const actor = actorOf(principal);
      const ifMatch = headers['if-match'];
      if (ifMatch === undefined) throw problem('precondition_required');
      const version = (present: number) => requireVersion(ifMatch, present);
      return answerOf(actor, await editLetter(parts, actor, { id, version }, body));
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/dead-letters/{id}/replay',
      summary: 'Send a letter back to the group that failed, for one attempt',
      description:
        '409 `conflict` when it does not wait, or another record of its line comes first (`head`); `busy` while it is being tried; `already_handled`.',
      tags,
      auth: mayRead,
      params,
      body: noBody,
      problems: ['conflict', 'busy', 'already_handled'],
      responses: { 200: letterAnswer },
    },
    async ({ params: { id }, principal }) => {
      const actor = actorOf(principal);
      return answerOf(actor, await replayLetter(parts, actor, id));
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/dead-letters/{id}/discard',
      summary: 'Decide against a letter; it can be restored until it is forgotten',
      tags,
      auth: mayRead,
      params,
      body: z.strictObject({ reason: text(1_000, 1).meta({ example: 'A test order' }) }),
      problems: ['conflict', 'busy', 'already_handled'],
      responses: { 200: letterAnswer },
    },
    async ({ params: { id }, body, principal }) => {
      const actor = actorOf(principal);
      return answerOf(actor, await discardLetter(parts, actor, id, body.reason));
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/dead-letters/{id}/restore',
      summary: 'Let a discarded letter wait again',
      description:
        'In groups that keep order it comes back beside its line: those that followed it have gone on.',
      tags,
      auth: mayRead,
      params,
      body: noBody,
      problems: ['conflict'],
      responses: { 200: letterAnswer },
    },
    async ({ params: { id }, principal }) => {
      const actor = actorOf(principal);
      return answerOf(actor, await restoreLetter(parts, actor, id));
    },
  );
}

/** As RFC 9110 has it: a weak tag never matches here, and neither does what is no tag. */
export function requireVersion(ifMatch: string, version: number): void {
  if (ifMatch.trim() === '*') return;
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (tags.includes(`"${version}"`)) return;
  throw problem('version_mismatch', `The present version is ${version}.`, {
    headers: { etag: `"${version}"` },
  });
}
