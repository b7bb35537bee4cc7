/** Lists by page: keyset, so that a page neither skips nor repeats when rows come in between. */
import { z } from 'zod';
import { queryInt } from './fields.ts';
import { problem } from './problems.ts';

/** To be spread into a route's query: `z.object({ ...pageQuery, status: … })`. */
export const pageQuery = {
  limit: queryInt(1, 200).default(50).meta({ description: 'How many at most.', default: 50 }),
  cursor: z.string().min(1).max(1_024).optional().meta({ description: '`next_cursor` of the page before.' }),
};

export type CursorValue = string | number | boolean | null;
const cursorShape = z.array(z.union([z.string().max(512), z.number(), z.boolean(), z.null()])).max(8);

/** The sort key of a page's last row, as one opaque text. */
export function encodePageCursor(values: readonly CursorValue[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/**
 * The values of a cursor; undefined without one. A bad cursor is a problem `malformed`.
 *
 * @param shape what the values must be: a client can make any cursor, and Postgres refuses a uuid that is none
 */
export function decodePageCursor(cursor: string | undefined): CursorValue[] | undefined;
export function decodePageCursor<T>(cursor: string | undefined, shape: z.ZodType<T>): T | undefined;
export function decodePageCursor(cursor: string | undefined, shape: z.ZodType = cursorShape): unknown {
  if (cursor === undefined) return undefined;
  const values = cursorShape.safeParse(jsonFrom(cursor));
  const result = values.success ? shape.safeParse(values.data) : values;
  if (!result.success) throw problem('malformed', 'The cursor is not one of ours.');
  return result.data;
}

/**
 * Makes a page of `limit + 1` rows, of which the last only shows that there is more.
 *
 * @param keyOf the values that the query sorts by, ending with a unique one
 */
export function toPage<T>(
  rows: readonly T[],
  limit: number,
  keyOf: (row: T) => readonly CursorValue[],
): { data: T[]; next_cursor: string | null } {
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  const hasMore = rows.length > limit && last !== undefined;
  return { data, next_cursor: hasMore ? encodePageCursor(keyOf(last)) : null };
}

/** The schema of a page, for a route's `responses`. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ data: z.array(item), next_cursor: z.string().nullable() });
}

function jsonFrom(cursor: string): unknown {
  if (!/^[\w-]+$/.test(cursor)) return undefined;
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (text.includes('\\u0000')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
