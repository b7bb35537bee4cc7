/** REST of a user's own preferences. */
import type { Api } from '@ragline/web/api';
import type { Principal } from '@ragline/web/auth';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { readerOf } from '../reader.ts';
import type { Preferences } from './rules.ts';
import { preferencesBody, preferencesShape, shown } from './shapes.ts';
import type { PreferenceStore, User } from './store.ts';

const member = ['customer', 'staff', 'admin'] as const;
const tags = ['notifications'];
const path = '/v1/notification-preferences';
const answer = { schema: preferencesShape, headers: { etag: 'The version, for If-Match.' } };

export type PreferenceRoutes = {
  api: Api;
  store: Pick<PreferenceStore, 'get' | 'put'>;
  /** Called with each change once it is committed, so that this instance need not wait to hear of it. */
  onChanged: (user: User, preferences: Preferences) => void;
};

export function addPreferenceRoutes({ api, store, onChanged }: PreferenceRoutes): void {
  api.route(
    {
      method: 'get',
      path,
      summary: 'What you want to hear of, and how',
      description: 'Before anything was put: all is listed and told at once, `version` is 0.',
      tags,
      auth: member,
      responses: { 200: answer },
    },
    async ({ principal }) => show(await store.get(readerOf(principal)), principal),
  );

  api.route(
    {
      method: 'put',
      path,
      summary: 'Replace them',
      description:
        'Kinds and fields that are not named are as in the beginning; `{}` is the way back to it. `live` is about sockets and streams: what is held, by `"digest"` or in quiet hours, is told by one notification `notifications_digest` that says how many of what are unread, every `digest_minutes` and when quiet hours end. `order_cancelled` is told at once in quiet hours too. `list` is about `GET /v1/notifications`: what it leaves out is kept, and there again when it is wanted. In force with the answer for what comes after it; on other instances as soon as they hear of it, within a second as a rule. What was held until then comes in a digest of its own. `If-Match` is optional (412 for another version). 429 when more than 20 digests wait: `Retry-After` is when the first of them is told.',
      tags,
      auth: member,
      headers: z.object({
        'if-match': z
          .string()
          .max(1_000)
          .optional()
          .meta({ description: 'An `ETag`: 412 when it was changed since.', example: '"3"' }),
      }),
      body: preferencesBody,
      responses: { 200: answer },
    },
    async ({ body, headers, principal }) => {
      const reader = readerOf(principal);
      requireStaffsKinds(body.events, reader.is_staff);
      const wanted = { ...body, events: { ...body.events } };
      const after = await store.put(reader, wanted, (version) =>
        requireVersion(headers['if-match'], version),
      );
      onChanged(reader, after);
      return show(after, principal);
    },
  );
}

function show(preferences: Preferences, principal: Principal) {
  return {
    status: 200,
    body: shown(preferences, readerOf(principal).is_staff),
    headers: { etag: etagOf(preferences.version) },
  };
}

function requireStaffsKinds(events: z.output<typeof preferencesBody>['events'], isStaff: boolean): void {
  if (isStaff || events.webhook_disabled === undefined) return;
  const message = 'is told to staff alone';
  throw problem('invalid', undefined, { errors: [{ path: 'events.webhook_disabled', message }] });
}

const etagOf = (version: number) => `"${version}"`;

/** Weak tags never match (RFC 9110), and there always is something that `*` matches. */
function requireVersion(ifMatch: string | undefined, version: number): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  if (ifMatch.split(',').some((tag) => tag.trim() === etagOf(version))) return;
  throw problem('version_mismatch', `The present version is ${version}.`, {
    headers: { etag: etagOf(version) },
  });
}
