/**
 * What became of replays: read from the group's own line and inbox, where nothing can be lost on the way. There is no
 * topic on which a group would answer.
 *
 *   gone from its line, or in the inbox → resolved · dead once more → waiting, with the attempt
 */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { unstorable } from './domain.ts';
import { appendLetterEvents, type Encode, type EventLetter, type LetterEvent } from './events.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { LetterRow } from './letter.ts';
import { append, isRefusal, type Known, stateAfter } from './letter-keep.ts';
import { inScope, system } from './scope.ts';
import { setState, take } from './store.ts';

/** As streams.fate gives it. */
export type Fate = {
  state: string;
  deaths: number | null;
  attempt: number | null;
  /** While it is parked, under which id the group will remember it now: releasing it gives it another. */
  inbox_id: string | null;
  error: unknown;
  outcome: string | null;
};

export type Verdict = 'pending' | 'resolved' | 'discarded' | 'failed';

type Asked = Pick<LetterRow, 'parked_record' | 'deaths'>;

/** What the fate of a letter that is being replayed means. */
function verdictOf({ parked_record, deaths }: Asked, fate: Fate): Verdict {
  if (fate.state === 'gone') {
    if (fate.outcome !== null) return stateAfter(fate.outcome) === 'discarded' ? 'discarded' : 'resolved';
    // A record leaves its line only when its id is closed; that the inbox does not know it any more is its age.
    return parked_record === null ? 'pending' : 'resolved';
  }
  // Dead as before: nobody has told its line yet.
  return fate.state === 'dead' && (fate.deaths ?? 0) > deaths ? 'failed' : 'pending';
}

const atOnce = 2_000;
const busyEveryMs = 200;
// Where many have come many are likely to come, and a batch waits for them; for a few, all would be asked for again.
const againMs = 50;
const idleEveryMs = 1_000;

export type SettlerOptions = {
  pool: Pool;
  encoder: () => Promise<Encode>;
  /** Letters have got an outcome. */
  onSettled?: () => void;
  log: Logger;
};

export type Settler = {
  /** Letters have been claimed: no need to wait for the next look. */
  hurry(): void;
  stop(): Promise<void>;
};

/** Looks again and again, on every instance in turn. */
export function startSettler(options: SettlerOptions): Settler {
  const stopping = new AbortController();
  let behind = start;
  let isIdle = false;
  let isHurried = false;
  let wake = () => {};

  const running = (async () => {
    while (!stopping.signal.aborted) {
      let waitMs = idleEveryMs;
      isHurried = false;
      try {
        const { next, asked, settled } = await settle(options, behind);
        behind = next;
        if (settled > 0) options.onSettled?.();
        if (asked > 0 || isHurried) waitMs = settled * 10 >= asked ? againMs : busyEveryMs;
        // More than one round's worth: what comes behind waits for no pause.
        if (next !== start) waitMs = 0;
      } catch (error) {
        options.log.warn('outcomes of replays could not be read', { error });
      }
      isIdle = waitMs === idleEveryMs;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  })();

  return {
    hurry() {
      isHurried = true;
      if (isIdle) wake();
    },
    async stop() {
      stopping.abort();
      wake();
      await running;
    },
  };
}

/** Where the first round begins. Those whose group is away stay, and must not hide the others: so a round goes on behind the last. */
export const start = '00000000-0000-0000-0000-000000000000';

/** One round over at most 2,000 letters that are being replayed, in the order in which they were kept, from behind that id. */
export async function settle(
  { pool, encoder }: Pick<SettlerOptions, 'pool' | 'encoder'>,
  behind = start,
): Promise<{ next: string; asked: number; settled: number }> {
  const encode = await encoder();
  return inScope(pool, system, async (client) => {
    const none = { next: start, asked: 0, settled: 0 };
    if (!(await isOurTurn(client))) return none;
    const asked = await replaying(client, behind);
    const last = asked.at(-1);
    if (last === undefined) return none;
    const next = asked.length < atOnce ? start : last.id;
    const told = (await fatesOf(client, asked)).map((fate, index) => ({ fate, letter: asked[index] }));
    const changed = new Map<string, Fate>();
    for (const { fate, letter } of told) {
      if (letter && (verdictOf(letter, fate) !== 'pending' || hasMoved(letter, fate)))
        changed.set(letter.id, fate);
    }
    const letters = await lockUnchanged(
      client,
      asked.filter(({ id }) => changed.has(id)),
    );
    const fates = letters.flatMap(({ id }) => changed.get(id) ?? []);
    const by: Record<Verdict, Settling[]> = { pending: [], resolved: [], discarded: [], failed: [] };
    const failures = new Map<string, Fate>();
    await followIds(client, letters, fates);
    for (const [index, letter] of letters.entries()) {
      const fate = fates[index];
      if (fate === undefined) continue;
      const verdict = verdictOf(letter, fate);
      by[verdict].push(letter);
      if (verdict === 'failed') failures.set(letter.id, fate);
    }
    const events = await failedAgain(client, failures);
    for (const state of ['resolved', 'discarded'] as const) {
      const fields = state === 'discarded' ? { discard_reason: 'discarded in its line' } : {};
      for (const letter of await setState(client, by[state], state, fields)) {
        events.push({ event_type: `dead_letter_${state}`, user_id: null, letter });
      }
    }
    await appendLetterEvents(client, encode, events);
    return { next, asked: asked.length, settled: letters.length - by.pending.length };
  });
}

/** One instance at a time: two would ask for the same. */
async function isOurTurn(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ ours: boolean }>({
    name: 'dead_letters_settling',
    text: `SELECT pg_try_advisory_xact_lock(hashtextextended('ragline.dead_letters.settle', 0)) AS ours`,
    values: [],
  });
  return rows[0]?.ours === true;
}

type Replaying = Asked & Pick<LetterRow, 'id' | 'version' | 'group_id' | 'inbox_id'>;
type Settling = EventLetter & Replaying;

/** No more than is asked with, and nothing locked: most of them are looked at again and again. */
async function replaying(client: Client, behind: string): Promise<Replaying[]> {
  const { rows } = await client.query<Replaying>({
    name: 'dead_letters_replaying',
    text: `SELECT l.id, l.version, l.group_id, l.parked_record, l.deaths, l.inbox_id
             FROM dead_letters.letter l
            WHERE l.state = 'replaying' AND l.source = 'ragline' AND l.inbox_id IS NOT NULL AND l.id > $1
            ORDER BY l.id LIMIT $2`,
    values: [behind, atOnce],
  });
  return rows;
}

/** Those that are still what their fate was asked for, locked; what somebody has is left for the next round. */
async function lockUnchanged(client: Client, letters: readonly Replaying[]): Promise<Settling[]> {
  if (letters.length === 0) return [];
  const { rows } = await client.query<Settling>({
    name: 'dead_letters_settling_lock',
    // What an event says of it, without its value and stack.
    text: `SELECT l.id, l.state, l.group_id, l.topic, l.partition, l."offset"::text, l.tenant_id, l.event_id, l.event_type, l.error_code,
                  l.error_class, l.fingerprint, l.attempts, l.version, l.parked_record, l.deaths, l.inbox_id
             FROM dead_letters.letter l
            WHERE l.id = ANY ($1::uuid[]) AND l.state = 'replaying'
            ORDER BY l.id FOR UPDATE SKIP LOCKED`,
    values: [letters.map(({ id }) => id)],
  });
  const versions = new Map(letters.map(({ id, version }) => [id, version]));
  return rows.filter(({ id, version }) => versions.get(id) === version);
}

async function fatesOf(client: Client, letters: readonly Replaying[]): Promise<Fate[]> {
  const { rows } = await client.query<Fate>({
    name: 'dead_letters_fates',
    // One row for each, in their order.
    text: 'SELECT state, deaths, attempt, inbox_id, error, outcome FROM streams.fate($1, $2, $3)',
    values: [
      letters.map(({ parked_record }) => parked_record),
      letters.map(({ group_id }) => group_id),
      letters.map(({ inbox_id }) => inbox_id),
    ],
  });
  return rows;
}

/** While it is parked, under another id: it was released or edited in its line. */
const hasMoved = (letter: Replaying, { state, inbox_id }: Fate): boolean =>
  state !== 'gone' && inbox_id !== null && inbox_id !== letter.inbox_id;

/** Under an id that it no longer has, a record that is gone would have the outcome of having been released. */
async function followIds(
  client: Client,
  letters: readonly Replaying[],
  fates: readonly Fate[],
): Promise<void> {
  const moved = letters.flatMap((letter, index) => {
    const fate = fates[index];
    return fate !== undefined && hasMoved(letter, fate) ? [{ id: letter.id, now: fate.inbox_id }] : [];
  });
  if (moved.length === 0) return;
  await client.query({
    name: 'dead_letters_follow_ids',
    text: `UPDATE dead_letters.letter l SET inbox_id = m.now FROM unnest($1::uuid[], $2::text[]) AS m (id, now) WHERE l.id = m.id`,
    values: [moved.map(({ id }) => id), moved.map(({ now }) => now)],
  });
}

/** The groups' announcements on their topics will say the same once more; by then they are copies. */
async function failedAgain(client: Client, fates: ReadonlyMap<string, Fate>): Promise<LetterEvent[]> {
  if (fates.size === 0) return [];
  const events: LetterEvent[] = [];
  for (const letter of await take(client, [...fates.keys()], ['replaying'])) {
    const fate = fates.get(letter.id);
    const event = fate && (await appendOrBare(client, letter, fate));
    if (event !== undefined) events.push(event);
  }
  return events;
}

/** One that Postgres refuses is told without its error: else it would stop all others, round after round. */
async function appendOrBare(client: Client, letter: LetterRow, fate: Fate): Promise<LetterEvent | undefined> {
  await client.query('SAVEPOINT failure');
  try {
    const event = await appendFailure(client, letter, fate);
    await client.query('RELEASE SAVEPOINT failure');
    return event;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT failure');
    return appendFailure(client, letter, { ...fate, error: { code: unstorable } });
  }
}

async function appendFailure(
  client: Client,
  letter: LetterRow,
  fate: Fate,
): Promise<LetterEvent | undefined> {
  const said = errorOf(fate.error);
  const failed_at = new Date(said.failed_at);
  const error = {
    error_code: said.code,
    error_class: said.class,
    error_message: said.message,
    error_stack: said.stack,
  };
  const { group_id, event_type } = letter;
  const { fingerprint, parts: fingerprint_parts } = fingerprintOf({ group_id, event_type, ...error });
  const known: Known & { id: string } = { ...letter, seen: ['', ''] };
  const { event } = await append(client, known, {
    ...letter,
    ...error,
    fingerprint,
    fingerprint_parts,
    deaths: fate.deaths ?? letter.deaths + 1,
    attempts: said.attempt > 0 ? said.attempt : letter.attempts + 1,
    failed_at: Number.isNaN(failed_at.getTime()) ? new Date() : failed_at,
  });
  return event;
}

/** A line's error, as packages/streams keeps it in parked_record.error. */
function errorOf(error: unknown) {
  const fields = typeof error === 'object' && error !== null ? error : {};
  const field = (name: string): unknown => Reflect.get(fields, name);
  const text = (name: string): string | null => {
    const value = field(name);
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const {
    code,
    class: kind,
    message,
    stack,
  } = {
    code: text('code'),
    class: text('class'),
    message: text('message'),
    stack: text('stack'),
  };
  const attempt = Number(field('attempt'));
  const failed_at = text('failed_at') ?? '';
  return { code, class: kind, message, stack, failed_at, attempt: Number.isInteger(attempt) ? attempt : 0 };
}
