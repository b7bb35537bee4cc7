/**
 * Letters in groups and in numbers, from sums that the database keeps as letters change: never by counting letters, of
 * which there may be millions. Each reading first folds in what has changed since the last one, so it is exact.
 */
import type { Client } from '@ragline/postgres/pool';
import { nilId } from './events.ts';
import { type FingerprintParts, type LetterSummary, summaryColumns } from './letter.ts';
import { summaryView, whyOf } from './letter-view.ts';
import type { Scope } from './scope.ts';

const foldedAtOnce = 10_000;
const groupsMax = 500;
const codesMax = 100;

/** Adds what has changed to the sums. Bounded: of a flood the rest is added by the next call. */
async function foldSums(client: Client): Promise<number> {
  const { rows } = await client.query<{ folded: number }>({
    name: 'dead_letters_fold',
    text: 'SELECT dead_letters.fold($1) AS folded',
    values: [foldedAtOnce],
  });
  return rows[0]?.folded ?? 0;
}

type States = { waiting: number; replaying: number; resolved: number; discarded: number };

export type LetterGroup = {
  fingerprint: string;
  group: string;
  count: number;
  states: States;
  first_seen: Date;
  last_seen: Date;
  why: FingerprintParts | null;
  sample: ReturnType<typeof summaryView> | null;
};

export type GroupPage = {
  behind: readonly [last_seen: string, fingerprint: string] | undefined;
  limit: number;
  open: boolean;
};

/** One row more than the limit when there are more. */
export async function groupsOf(client: Client, scope: Scope, page: GroupPage): Promise<LetterGroup[]> {
  await foldSums(client);
  const [last_seen, fingerprint] = page.behind ?? ['infinity', ''];
  const { rows } = await client.query<GroupRow>({
    name: `dead_letters_groups_${page.open ? 'open' : 'all'}`,
    text: `SELECT c.fingerprint AS cause, c.group_id AS cause_group, c.waiting, c.replaying, c.resolved, c.discarded,
                  c.first_seen, c.last_seen, l.fingerprint_parts, ${summaryColumns}
             FROM (SELECT * FROM dead_letters.cause
                    WHERE tenant_id = $1 ${page.open ? 'AND waiting > 0' : ''}
                      AND (last_seen, fingerprint) < ($2, $3)
                    ORDER BY last_seen DESC, fingerprint DESC LIMIT $4) c
             LEFT JOIN dead_letters.letter l ON l.id = c.sample_id
            ORDER BY c.last_seen DESC, c.fingerprint DESC`,
    values: [scope.tenant_id ?? nilId, last_seen, fingerprint, page.limit + 1],
  });
  return rows.map(groupFrom);
}

type GroupRow = States & { cause: string; cause_group: string; first_seen: Date; last_seen: Date } & (
    | (LetterSummary & { fingerprint_parts: FingerprintParts })
    | { id: null }
  );

function groupFrom(row: GroupRow): LetterGroup {
  const { cause, cause_group, waiting, replaying, resolved, discarded, first_seen, last_seen, ...sample } =
    row;
  const group = {
    fingerprint: cause,
    group: cause_group,
    count: waiting + replaying + resolved + discarded,
    states: { waiting, replaying, resolved, discarded },
    first_seen,
    last_seen,
  };
  if (sample.id === null) return { ...group, why: null, sample: null };
  const { fingerprint_parts, ...summary } = sample;
  return { ...group, why: whyOf(fingerprint_parts), sample: summaryView(summary) };
}

export type Stats = Awaited<ReturnType<typeof statsOf>>;

/** In the scope's transaction. */
export async function statsOf(client: Client, scope: Scope, now = new Date()) {
  await foldSums(client);
  const { rows: tallied } = await client.query<{ group_id: string; state: keyof States; letters: number }>({
    name: 'dead_letters_stats_groups',
    text: `SELECT group_id, state, sum(letters)::bigint AS letters FROM dead_letters.tally
            GROUP BY 1, 2 ORDER BY sum(letters) DESC, group_id LIMIT $1`,
    values: [groupsMax * 4],
  });
  const { rows: codes } = await client.query<{ error_code: string; count: number }>({
    name: 'dead_letters_stats_codes',
    text: `SELECT error_code, sum(letters)::bigint AS count FROM dead_letters.tally
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $1`,
    values: [codesMax],
  });
  const groups = await withOldest(client, scope, byGroup(tallied));
  const states = noLetters();
  for (const { state, letters } of tallied) states[state] += letters;
  const oldest = groups.flatMap(({ oldest_waiting_at: at }) => (at === null ? [] : [at.getTime()]));
  const oldestAt = oldest.length === 0 ? null : new Date(oldest.reduce((a, b) => Math.min(a, b)));
  const paces = await pacesOf(client);
  const ageMs = oldestAt === null ? null : Math.max(0, now.getTime() - oldestAt.getTime());
  return {
    total: states.waiting + states.replaying + states.resolved + states.discarded,
    states,
    groups,
    error_codes: codes,
    oldest_waiting_at: oldestAt,
    oldest_age_s: ageMs === null ? null : ageMs / 1_000,
    ...paces,
  };
}

const noLetters = (): States => ({ waiting: 0, replaying: 0, resolved: 0, discarded: 0 });

function byGroup(tallied: readonly { group_id: string; state: keyof States; letters: number }[]) {
  const groups = new Map<string, States>();
  for (const { group_id, state, letters } of tallied) {
    const states = groups.get(group_id) ?? noLetters();
    states[state] += letters;
    groups.set(group_id, states);
  }
  return groups;
}

/** The first letter that waits, of each group: a step into an index, whatever their number. */
async function withOldest(client: Client, { tenant_id }: Scope, groups: ReadonlyMap<string, States>) {
  const names = [...groups].filter(([, { waiting }]) => waiting > 0).map(([group]) => group);
  const { rows } = await client.query<{ group: string; at: Date | null }>({
    name: `dead_letters_oldest_${tenant_id === null ? 'of_all' : 'of_tenant'}`,
    text: `SELECT g AS group, (SELECT l.kept_at FROM dead_letters.letter l
             WHERE l.group_id = g AND l.state = 'waiting'
               ${tenant_id === null ? '' : 'AND l.tenant_id = $2'} ORDER BY l.id LIMIT 1) AS at
             FROM unnest($1::text[]) AS g`,
    values: [names, ...(tenant_id === null ? [] : [tenant_id])],
  });
  const oldest = new Map(rows.map(({ group, at }) => [group, at]));
  return [...groups].map(([group, states]) => ({
    group,
    states,
    oldest_waiting_at: oldest.get(group) ?? null,
  }));
}

const windows = { last_5_minutes: 5, last_hour: 60, last_day: 1_440, last_week: 10_080 };

async function pacesOf(client: Client) {
  const { rows } = await client.query<{ event: string } & Record<keyof typeof windows, number>>({
    name: 'dead_letters_paces',
    text: `SELECT event, ${Object.entries(windows)
      .map(
        ([name, minutes]) =>
          `coalesce(sum(events) FILTER (WHERE minute > now() - interval '${minutes} minutes'), 0)::bigint AS ${name}`,
      )
      .join(', ')}
             FROM dead_letters.pace WHERE minute > now() - interval '${windows.last_week} minutes' GROUP BY event`,
    values: [],
  });
  const within = (window: keyof typeof windows, prefix: string) =>
    Object.fromEntries(
      rows
        .filter((row) => row.event.startsWith('manual:') === (prefix !== '') && row[window] > 0)
        .map((row) => [row.event.slice(prefix.length), row[window]]),
    );
  return {
    rates: {
      last_5_minutes: within('last_5_minutes', ''),
      last_hour: within('last_hour', ''),
      last_day: within('last_day', ''),
    },
    manual_interventions: {
      last_hour: within('last_hour', 'manual:'),
      last_day: within('last_day', 'manual:'),
      last_week: within('last_week', 'manual:'),
    },
  };
}
