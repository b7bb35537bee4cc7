/** Which letters somebody asks for, and the page of them: each filter has an index that also gives the order. */
import { createHash } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { text, timestamp, uuid } from '@ragline/web/fields';
import { z } from 'zod';
import { type LetterState, type LetterSummary, letterStates, summaryColumns } from './letter.ts';
import { keyFrom } from './letter-key.ts';
import { wordQuery } from './letter-words.ts';
import type { Scope } from './scope.ts';

/** The query parameters of everything that selects letters: lists, exports, batches. */
export const filterQuery = {
  state: z.enum(letterStates).optional().meta({ description: 'In this state now.' }),
  group: text(255, 1).optional().meta({ description: 'The consumer group that gave up.' }),
  topic: text(255, 1).optional().meta({ description: 'The topic the record was read from at first.' }),
  tenant: uuid.optional().meta({ description: 'Whose; of use to operators.' }),
  error_code: text(128, 1).optional().meta({ description: 'Why it failed last.' }),
  fingerprint: text(64, 1).optional().meta({ description: 'Of one group of letters that failed alike.' }),
  key: text(1024, 1)
    .optional()
    .meta({ description: 'The record’s key: its text, or `base64:` and its bytes.' }),
  from: timestamp.optional().meta({ description: 'Kept at this time or later.' }),
  to: timestamp.optional().meta({ description: 'Kept at this time or earlier.' }),
  q: text(200, 1).optional().meta({
    description:
      'Words of ids, error, key and value, all of them; from four letters on also the beginning of one.',
  }),
};

/** A filter as `filterQuery` gives it. */
export type FilterQuery = z.output<z.ZodObject<typeof filterQuery>>;

export type Filter = {
  state: LetterState | undefined;
  group: string | undefined;
  topic: string | undefined;
  tenant: string | undefined;
  error_code: string | undefined;
  fingerprint: string | undefined;
  key: Buffer | undefined;
  from: Date | undefined;
  to: Date | undefined;
  /** A tsquery; '' finds nothing: what was looked for has no word in it. */
  words: string | undefined;
};

/** `next`: the id to go on behind; undefined at the end. */
export type PageOf<T> = { rows: T[]; next: string | undefined };

export function filterFrom(query: FilterQuery): Filter {
  const { state, group, topic, tenant, error_code, fingerprint, key, from, to, q } = query;
  return {
    state,
    group,
    topic,
    tenant,
    error_code,
    fingerprint,
    key: key === undefined ? undefined : keyFrom(key),
    from: from === undefined ? undefined : new Date(from),
    to: to === undefined ? undefined : new Date(to),
    words: q === undefined ? undefined : (wordQuery(q) ?? ''),
  };
}

/** Collects values of a statement and gives their placeholders. */
export type Params = { values: unknown[]; add(value: unknown): string };

export function params(): Params {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

/**
 * The whole filter as a condition on dead_letters.letter, called l, for statements that read all that fits (exports,
 * frozen selections). Without paging and without order.
 */
export function whereOf(filter: Filter, scope: Scope, { add }: Params): string {
  const [low, high] = idRange(filter, undefined);
  const conditions = [`l.id >= ${add(low)}`, `l.id < ${add(high)}`];
  // Without a state both of these, so that the indexes of either are of use.
  conditions.push(
    filter.state === undefined
      ? `(l.state <> 'replaying' OR l.state = 'replaying')`
      : `l.state = ${add(filter.state)}`,
  );
  for (const tenant of tenantsOf(filter, scope)) conditions.push(`l.tenant_id = ${add(tenant)}::uuid`);
  for (const [column, value] of columnsOf(filter)) conditions.push(conditionOn(column, add(value)));
  if (filter.words !== undefined) conditions.push(wordsCondition(filter.words, add));
  return conditions.join(' AND ');
}

// Rows of an index that a page walks along at most, for each state, when the index alone cannot tell which ones it shows.
const walkMax = 4_000;
const firstWalk = 200;
const wordHitsMax = 2_000;

/**
 * A page of the filter, newest first. With one filter, with or without state, time and tenant, it reads the rows that it
 * shows. With several, and with words, it reads at most some thousands and may then be short although more follows:
 * `next` says so.
 */
export async function pageOfLetters(
  client: Client,
  scope: Scope,
  filter: Filter,
  { before, limit }: { before: string | undefined; limit: number },
): Promise<PageOf<LetterSummary>> {
  if (filter.words === '' || new Set(tenantsOf(filter, scope)).size > 1) return { rows: [], next: undefined };
  await client.query({ name: 'dead_letters_walk', text: walkSettings });
  const ask: Ask = { client, scope, filter, before, limit };
  if (!hasRest(filter, scope)) return walked(ask, limit + 1);
  if (filter.words === undefined) return walked(ask, walkMax);
  // Words that many letters have are soon met on the way; of the others an index knows all.
  const soon = await walked(ask, firstWalk);
  if (soon.rows.length >= limit || soon.next === undefined) return soon;
  const hits = await wordHits(ask);
  return hits === undefined ? walked(ask, walkMax) : among(ask, hits);
}

// For the transaction. The order of a walk is that of one index alone, and this keeps the planner from sorting instead,
// which is what it does where it takes the rows for few; its guesses about several columns together are far off.
export const walkSettings = `SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
                             set_config('enable_seqscan', 'off', true)`;

type Ask = { client: Client; scope: Scope; filter: Filter; before: string | undefined; limit: number };

async function walked(ask: Ask, max: number): Promise<PageOf<LetterSummary>> {
  const { client, limit } = ask;
  const { rows } = await client.query<(LetterSummary | { id: null }) & { walk_end: string | null }>(
    walkSql(ask, max, limit + 1),
  );
  const found = rows.flatMap(({ walk_end: _end, ...row }) => (row.id === null ? [] : [row]));
  if (found.length > limit) return pageFrom(found, limit);
  return { rows: found, next: rows[0]?.walk_end ?? undefined };
}

function pageFrom(rows: LetterSummary[], limit: number): PageOf<LetterSummary> {
  const shown = rows.slice(0, limit);
  return { rows: shown, next: rows.length > limit ? shown.at(-1)?.id : undefined };
}

/**
 * Walks along the best index for at most `readMax` rows of each state, newest first, and shows the first `shownMax` that
 * the rest of the filter takes. Each row has `walk_end`, the last id of a walk that did not come to the end of its
 * range; without any letter there is one row of nothing else.
 */
export function walkSql(ask: Pick<Ask, 'scope' | 'filter' | 'before'>, readMax: number, shownMax: number) {
  const { filter, scope, before } = ask;
  const use = params();
  const max = use.add(readMax);
  const rest = restOf(filter, scope, use) || 'true';
  const [low, high] = idRange(filter, before).map((id) => `${use.add(id)}::uuid`);
  const lead = leadOf(filter, scope).map(
    ([column, value]) =>
      [column, `${use.add(value)}::${column === 'l.tenant_id' ? 'uuid' : 'text'}`] as const,
  );
  const order = [...lead.map(([column]) => column), 'l.state', 'l.id'].map((column) => `${column} DESC`);
  const states = filter.state === undefined ? letterStates : [filter.state];
  const ranges = states.map((state) => {
    if (state === 'replaying') {
      // Those are few, and in no index but their own: see 0608.
      const equal = [...lead, ['l.state', `'replaying'`] as const].map((it) => it.join(' = '));
      return `(SELECT l.id, ${rest} AS fits FROM dead_letters.letter l
        WHERE ${equal.join(' AND ')} AND l.id >= ${low} AND l.id < ${high} ORDER BY l.id DESC LIMIT ${max})`;
    }
    // Equal to one of one: as plain equations these columns would be constants to the planner, no part of the order, and it
    // might choose any index that ends in the id, and walk along it past everything that does not fit.
    const equal = [...lead, ['l.state', `'${state}'::text`] as const].map(
      ([column, value]) => `${column} = ANY (ARRAY[${value}])`,
    );
    return `(SELECT l.id, ${rest} AS fits FROM dead_letters.letter l
      WHERE ${equal.join(' AND ')} AND l.id >= ${low} AND l.id < ${high}
      ORDER BY ${order.join(', ')} LIMIT ${max})`;
  });
  const text = `WITH walked AS MATERIALIZED (
      SELECT u.id, u.fits FROM (${ranges.join(' UNION ALL ')}) u ORDER BY u.id DESC LIMIT ${max})
    SELECT e.walk_end, ${summaryColumns}
      FROM (SELECT (SELECT id FROM walked OFFSET ${max}::int - 1 LIMIT 1) AS walk_end) e
      LEFT JOIN ((SELECT id FROM walked WHERE fits LIMIT ${use.add(shownMax)}) p
                 JOIN dead_letters.letter l ON l.id = p.id) ON true
     ORDER BY l.id DESC`;
  // Few shapes, each with many indexes to choose from: planned once a connection.
  const name = `dead_letters_walk_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  return { name, text, values: use.values };
}

/** Ids of all letters that have the words, or undefined when they are too many. */
async function wordHits({ client, scope, filter, before }: Ask): Promise<string[] | undefined> {
  const [low, high] = idRange(filter, before);
  const { rows } = await client.query<{ id: string }>({
    name: 'dead_letters_find_words',
    text: 'SELECT id FROM dead_letters.find_words($1, $2::tsquery, $3, $4, $5) AS id',
    values: [scope.tenant_id ?? filter.tenant ?? null, filter.words, low, high, wordHitsMax + 1],
  });
  return rows.length > wordHitsMax ? undefined : rows.map(({ id }) => id);
}

async function among(ask: Ask, ids: readonly string[]): Promise<PageOf<LetterSummary>> {
  const { client, scope, filter, before, limit } = ask;
  const use = params();
  const where = whereOf({ ...filter, words: undefined }, scope, use);
  const behind = before === undefined ? '' : `AND l.id < ${use.add(before)}`;
  const { rows } = await client.query<LetterSummary>({
    text: `SELECT ${summaryColumns} FROM dead_letters.letter l
            WHERE l.id = ANY (${use.add(ids)}::uuid[]) AND ${where} ${behind} ORDER BY l.id DESC LIMIT ${use.add(limit + 1)}`,
    values: use.values,
  });
  return pageFrom(rows, limit);
}

type Column = 'key' | 'fingerprint' | 'error_code' | 'group' | 'topic';

/** Filters that have an index of their own, the most telling first. */
function columnsOf({ key, fingerprint, error_code, group, topic }: Filter): [Column, unknown][] {
  const all: [Column, unknown][] = [
    ['key', key],
    ['fingerprint', fingerprint],
    ['error_code', error_code],
    ['group', group],
    ['topic', topic],
  ];
  return all.filter(([, value]) => value !== undefined);
}

const columnNames: Record<Column, string> = {
  key: 'l.key_hash',
  fingerprint: 'l.fingerprint',
  error_code: 'l.error_code',
  group: 'l.group_id',
  topic: 'l.topic',
};

/** Columns that the best index begins with, before state and id, and their values. A key needs no tenant beside it. */
function leadOf(filter: Filter, scope: Scope): [column: string, value: unknown][] {
  const [lead] = columnsOf(filter);
  if (lead?.[0] === 'key') return [['l.key_hash', md5(filter.key)]];
  const tenants = tenantsOf(filter, scope).map((tenant): [string, string] => ['l.tenant_id', tenant]);
  return lead === undefined ? tenants : [...tenants, [columnNames[lead[0]], lead[1]]];
}

function md5(key: Buffer | undefined): string {
  return createHash('md5')
    .update(key ?? '')
    .digest('hex');
}

function conditionOn(column: Column, placeholder: string): string {
  return `${columnNames[column]} = ${column === 'key' ? `md5(${placeholder}::bytea)` : placeholder}`;
}

const wordsCondition = (words: string, add: Params['add']) =>
  words === ''
    ? 'false'
    : `(SELECT w.words @@ ${add(words)}::tsquery FROM dead_letters.letter_words w WHERE w.letter_id = l.id)`;

/** What the index of the walk does not know. */
function restOf(filter: Filter, scope: Scope, { add }: Params): string {
  const [lead, ...others] = columnsOf(filter);
  const conditions = others.map(([column, value]) => conditionOn(column, add(value)));
  if (lead?.[0] === 'key') {
    for (const tenant of tenantsOf(filter, scope)) conditions.push(`l.tenant_id = ${add(tenant)}::uuid`);
  }
  if (filter.words !== undefined) conditions.push(wordsCondition(filter.words, add));
  return conditions.join(' AND ');
}

function hasRest(filter: Filter, scope: Scope): boolean {
  return restOf(filter, scope, params()) !== '';
}

/** The tenant of the scope and the one asked for: both must be the letter's, so an administrator finds nothing of others. */
function tenantsOf(filter: Filter, scope: Scope): string[] {
  return [...new Set([scope.tenant_id, filter.tenant].filter((it) => typeof it === 'string'))];
}

/** A letter's id begins with the milliseconds at which it was kept. */
function idRange({ from, to }: Filter, before: string | undefined): [low: string, high: string] {
  const high = to === undefined ? lastId : firstIdAt(to.getTime() + 1);
  return [
    from === undefined ? firstId : firstIdAt(from.getTime()),
    before !== undefined && before < high ? before : high,
  ];
}

const firstId = '00000000-0000-0000-0000-000000000000';
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

function firstIdAt(ms: number): string {
  if (ms < 0) return firstId;
  const time = ms.toString(16).padStart(12, '0');
  return time.length > 12 ? lastId : `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}
