/** REST of dead letters, as far as it reads: lists, one letter, groups, statistics. */
import type { Api } from '@ragline/web/api';
import { uuid } from '@ragline/web/fields';
import { decodePageCursor, encodePageCursor, pageOf, pageQuery } from '@ragline/web/pages';
import { hasRole, type Principal } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { filterFrom, filterQuery } from './letter-filter.ts';
import { type Mask, summaryView, viewOf } from './letter-view.ts';
import type { Scope } from './scope.ts';
import { groupShape, letterShape, statsShape, summaryShape } from './shapes.ts';
import type { LetterStore } from './store.ts';

/** Who may come here at all: an operator sees all letters, an administrator those of the tenant. */
export const mayRead = ['operator', 'admin'] as const;

export const tags = ['dead letters'];

/** Of a command that takes nothing: a field that does nothing, such as `dry_run`, is refused and not passed over. */
export const noBody = z.strictObject({}).optional();

/** Whose letters the caller sees and acts on. */
export function scopeOf(principal: Principal): Scope {
  const { tenant_id, user_id } = principal;
  return { tenant_id: hasRole(principal, 'operator') ? null : tenant_id, user_id };
}

export const letterId = z.object({ id: uuid.meta({ description: 'Of the letter.' }) });

/** One letter, and what can be done with it. */
export const letterAnswer = {
  schema: letterShape,
  headers: { ETag: 'Its version, for If-Match.' },
  links: Object.fromEntries(
    (['replay', 'discard', 'restore'] as const).map((action) => [
      action,
      { to: `POST /v1/dead-letters/{id}/${action}` as const, parameters: { id: '$response.body#/id' } },
    ]),
  ),
};

/** The version of a letter as an ETag. */
export const etagOf = ({ version }: { version: number }): string => `"${version}"`;

export type LetterRoutes = { api: Api; store: LetterStore; mask: Mask };

/** To be called after all other routes under /v1/dead-letters: `{id}` takes any word. */
export function addLetterRoutes({ api, store, mask }: LetterRoutes): void {
  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters',
      summary: 'Dead letters, newest first',
      description:
        'With several filters, or with `q`, a page may be shorter than `limit`, or empty, although more follow: go on with `next_cursor` until it is null.',
      tags,
      auth: mayRead,
      query: z.object({ ...pageQuery, ...filterQuery }),
      responses: { 200: pageOf(summaryShape) },
    },
    async ({ query: { limit, cursor, ...query }, principal }) => {
      const [before] = decodePageCursor(cursor, z.tuple([uuid])) ?? [];
      const page = await store.list(scopeOf(principal), filterFrom(query), { before, limit });
      const next_cursor = page.next === undefined ? null : encodePageCursor([page.next]);
      return { status: 200, body: { data: page.rows.map(summaryView), next_cursor } };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters/groups',
      summary: 'Dead letters that failed alike, last seen first',
      tags,
      auth: mayRead,
      query: z.object({
        ...pageQuery,
        open: z.enum(['true', 'false']).default('false').meta({
          description: 'true: only groups in which a letter waits.',
        }),
      }),
      responses: { 200: pageOf(groupShape) },
    },
    async ({ query: { limit, cursor, open }, principal }) => {
      const behind = decodePageCursor(cursor, z.tuple([z.iso.datetime(), z.string().max(64)]));
      const page = { behind, limit, open: open === 'true' };
      const groups = await store.groups(scopeOf(principal), page);
      const last = groups.length > limit ? groups[limit - 1] : undefined;
      const next_cursor =
        last === undefined ? null : encodePageCursor([last.last_seen.toISOString(), last.fingerprint]);
      return { status: 200, body: { data: groups.slice(0, limit), next_cursor } };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters/stats',
      summary: 'How many, of what, how old and how fast',
      tags,
      auth: mayRead,
      responses: { 200: statsShape },
    },
    async ({ principal }) => ({ status: 200, body: await store.stats(scopeOf(principal)) }),
  );

  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters/{id}',
      summary: 'One dead letter, whole',
      description: 'Values of sensitive headers are shown as `***`.',
      tags,
      auth: mayRead,
      params: letterId,
      responses: { 200: letterAnswer },
    },
    async ({ params: { id }, principal }) => {
      const found = await store.get(scopeOf(principal), id);
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: viewOf(found, mask), headers: { etag: etagOf(found.letter) } };
    },
  );
}
