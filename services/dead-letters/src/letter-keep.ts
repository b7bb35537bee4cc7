/**
 * Keeps letters, each once, many in one transaction: a new one with its first attempt, of a known one the new attempt.
 *
 * One letter is one identity: the parked record where there is one, else the original's address. A copy changes nothing,
 * so that a record of the topic may come as often as it likes.
 */
import type { Client, Pool } from '@ragline/postgres/pool';
import { bareLetter, type NewLetter, unstorable } from './domain.ts';
import { appendLetterEvents, type Encode, type LetterEvent } from './events.ts';
import type { LetterState } from './letter.ts';
import { bound } from './letter-binding.ts';
import { insert } from './letter-insert.ts';
import { inScope, system } from './scope.ts';

export type Kept = 'kept' | 'attempt' | 'copy';

/** As the column identity computes it. */
export function identityOf(
  letter: Pick<NewLetter, 'group_id' | 'parked_record' | 'topic' | 'partition' | 'offset'>,
): string {
  const { group_id, parked_record, topic, partition, offset } = letter;
  return parked_record === null
    ? `${group_id}/${topic}/${partition}/${offset}`
    : `${group_id}#${parked_record}`;
}

/** What is known of a letter when another copy of it, or another attempt, comes. */
export type Known = {
  state: LetterState;
  deaths: number;
  attempts: number;
  failed_at: Date;
  replaying_since: Date | null;
  /** `<attempt>@<failed_at in ms>` of each that is kept. */
  seen: readonly string[];
};

type Incoming = Pick<NewLetter, 'parked_record' | 'deaths' | 'attempts' | 'failed_at'>;

/** - `copy`: known · `late`: an attempt before the last that is known · `newer`: the last one, and what the record is now */
export type Decision = { kind: 'copy' } | { kind: 'late' } | { kind: 'newer'; state: LetterState };

/** What a letter that comes again means. */
export function decide(known: Known, incoming: Incoming): Decision {
  if (incoming.parked_record !== null) {
    return incoming.deaths > known.deaths
      ? { kind: 'newer', state: afterFailing(known.state) }
      : { kind: 'copy' };
  }
  if (known.seen.includes(seenAs(incoming))) return { kind: 'copy' };
  if (incoming.attempts < known.attempts && incoming.failed_at <= known.failed_at) return { kind: 'late' };
  // A second letter of an earlier death (a crash between sending and committing) is no answer to a replay: that one
  // counts on, or failed after it began.
  const isAnswer =
    incoming.attempts > known.attempts ||
    (known.replaying_since !== null && incoming.failed_at >= known.replaying_since);
  const state = known.state === 'replaying' && !isAnswer ? known.state : afterFailing(known.state);
  return { kind: 'newer', state };
}

/** What is discarded or done stays so: its id is closed, and a failure that comes late is history. */
function afterFailing(state: LetterState): LetterState {
  return state === 'replaying' ? 'waiting' : state;
}

function seenAs({ attempts, failed_at }: Pick<Incoming, 'attempts' | 'failed_at'>): string {
  return `${attempts}@${failed_at.getTime()}`;
}

export type KeepOptions = { pool: Pool; encoder: () => Promise<Encode> };

/** @returns what became of each, in their order. Throws when Postgres or the registry is away; never because of what a letter holds. */
export async function keepLetters(
  { pool, encoder }: KeepOptions,
  given: readonly NewLetter[],
): Promise<Kept[]> {
  const encode = await encoder();
  const letters = await bound(pool, given);
  const outcomes: Kept[] = letters.map(() => 'copy');
  for (const places of apart(letters)) {
    const kept = await keepOrBare(
      pool,
      encode,
      places.flatMap((place) => letters[place] ?? []),
    );
    for (const [index, place] of places.entries()) outcomes[place] = kept[index] ?? 'copy';
  }
  return outcomes;
}

/** Places of letters, in batches in which no identity is twice: the second is decided by what the first has left. */
function apart(letters: readonly NewLetter[]): number[][] {
  const batches: number[][] = [];
  const met = new Map<string, number>();
  for (const [place, letter] of letters.entries()) {
    const identity = identityOf(letter);
    const at = met.get(identity) ?? 0;
    met.set(identity, at + 1);
    const batch = batches[at];
    if (batch === undefined) batches.push([place]);
    else batch.push(place);
  }
  return batches;
}

async function keepOrBare(pool: Pool, encode: Encode, batch: readonly NewLetter[]): Promise<Kept[]> {
  try {
    return await keepBatch(pool, encode, batch);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (batch.length > 1) {
      const kept: Kept[] = [];
      for (const letter of batch) kept.push(...(await keepOrBare(pool, encode, [letter])));
      return kept;
    }
    const [letter] = batch;
    const isBarest = letter?.error_code === unstorable && Object.keys(letter.headers).length === 0;
    if (letter === undefined || isBarest) throw error;
    // Nobody knows of bytes that come this far; without this they would stop the topic for good.
    return keepOrBare(pool, encode, [bareLetter(letter, String(error))]);
  }
}

/** Postgres refuses what a row holds. */
// 22: what a type cannot hold, 23: what a constraint forbids, 54: what is too large or too deep.
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(22|23|54)/.test(String(error.code));
}

function keepBatch(pool: Pool, encode: Encode, letters: readonly NewLetter[]): Promise<Kept[]> {
  return inScope(pool, system, async (client) => {
    const states = await statesOfNew(client, letters);
    const fresh = await insert(client, letters, states);
    const again = letters.filter((letter) => !fresh.has(identityOf(letter)));
    const appended = new Map((await appendAttempts(client, again)).map((it) => [it.letter, it]));
    const events: LetterEvent[] = [];
    const outcomes = letters.map((letter, index): Kept => {
      const id = fresh.get(identityOf(letter));
      const { kept = 'copy', event } = appended.get(letter) ?? {};
      if (id !== undefined) {
        const made = { ...letter, id, state: states[index] ?? 'waiting', version: 1 };
        events.push({ event_type: 'dead_letter_kept', user_id: null, letter: made });
        return 'kept';
      }
      if (event !== undefined) events.push(event);
      return kept;
    });
    await appendLetterEvents(client, encode, events);
    return outcomes;
  });
}

/**
 * A letter of a parked record may come when that is parked no longer (its topic read anew): then it shows what became
 * of it, and does not wait for anybody.
 */
async function statesOfNew(client: Client, letters: readonly NewLetter[]): Promise<LetterState[]> {
  const parked = letters.filter(({ parked_record }) => parked_record !== null);
  if (parked.length === 0) return letters.map(() => 'waiting');
  const { rows } = await client.query<{ record_id: number; state: string; outcome: string | null }>({
    name: 'dead_letters_fate',
    text: 'SELECT record_id, state, outcome FROM streams.fate($1, $2, $3)',
    values: [
      parked.map(({ parked_record }) => parked_record),
      parked.map(({ group_id }) => group_id),
      parked.map(({ inbox_id }) => inbox_id),
    ],
  });
  const fates = new Map(rows.map((row) => [row.record_id, row]));
  return letters.map(({ parked_record }) => {
    const fate = parked_record === null ? undefined : fates.get(parked_record);
    return fate?.state === 'gone' && fate.outcome !== null ? stateAfter(fate.outcome) : 'waiting';
  });
}

/** What the inbox's outcome of a record that is gone means for its letter. */
export function stateAfter(outcome: string): LetterState {
  return outcome === 'discarded' ? 'discarded' : 'resolved';
}

/** Of a letter that comes again, what may have changed, and what an event says of it. */
export type NewAttempt = Omit<
  NewLetter,
  'words' | 'decoded' | 'decode_error' | 'key' | 'value' | 'first_failed_at' | 'schema_id'
>;

export type Appended<L> = { letter: L; kept: Kept; event?: LetterEvent };

async function appendAttempts(client: Client, letters: readonly NewLetter[]): Promise<Appended<NewLetter>[]> {
  if (letters.length === 0) return [];
  const { rows } = await client.query<Known & { id: string; identity: string }>({
    name: 'dead_letters_known',
    text: `SELECT l.id, l.identity, l.state, l.deaths, l.attempts, l.failed_at, l.replaying_since, ARRAY(
                    SELECT a.attempt || '@' || round(extract(epoch FROM a.failed_at) * 1000)::bigint
                      FROM dead_letters.attempt a WHERE a.letter_id = l.id) AS seen
             FROM dead_letters.letter l WHERE l.identity = ANY ($1) ORDER BY l.id FOR UPDATE OF l`,
    values: [letters.map(identityOf)],
  });
  const known = new Map(rows.map((row) => [row.identity, row]));
  const appended: Appended<NewLetter>[] = [];
  for (const letter of letters) {
    const row = known.get(identityOf(letter));
    // Forgotten between the two statements: it is past its retention.
    if (row === undefined) appended.push({ letter, kept: 'copy' });
    else appended.push(await append(client, row, letter));
  }
  return appended;
}

/** Adds the attempt to a letter that the caller has locked, unless it is known; gives the event that is to be published. */
export async function append<L extends NewAttempt>(
  client: Client,
  known: Known & { id: string },
  letter: L,
): Promise<Appended<L>> {
  const decision = decide(known, letter);
  if (decision.kind === 'copy') return { letter, kept: 'copy' };
  const by = known.replaying_since !== null || known.seen.length > 1 ? 'replay' : 'tiers';
  const { attempts, failed_at, error_code, error_class, error_message, error_stack } = letter;
  await client.query({
    name: 'dead_letters_append_attempt',
    text: `INSERT INTO dead_letters.attempt
             (letter_id, number, tenant_id, attempt, failed_at, error_code, error_class, error_message, error_stack, by)
           SELECT l.id, (SELECT coalesce(max(number), 0) + 1 FROM dead_letters.attempt WHERE letter_id = l.id), l.tenant_id,
                  $2, $3, $4, $5, $6, $7, $8
             FROM dead_letters.letter l WHERE l.id = $1`,
    values: [known.id, attempts, failed_at, error_code, error_class, error_message, error_stack, by],
  });
  if (decision.kind === 'late') return { letter, kept: 'attempt' };
  const { rows } = await client.query<{ version: number; tenant_id: string | null }>({
    name: 'dead_letters_newer_attempt',
    text: newerSql,
    values: [
      known.id,
      decision.state,
      letter.deaths,
      attempts,
      failed_at,
      error_code,
      error_class,
      error_message,
      error_stack,
      letter.fingerprint,
      JSON.stringify(letter.fingerprint_parts),
      JSON.stringify(letter.headers),
      letter.inbox_id,
      letter.dlq_topic,
      letter.dlq_partition,
      letter.dlq_offset,
    ],
  });
  const { version = 1, tenant_id = null } = rows[0] ?? {};
  const shown = { ...letter, id: known.id, state: decision.state, version, tenant_id };
  if (known.state !== 'replaying' || decision.state !== 'waiting') return { letter, kept: 'attempt' };
  return {
    letter,
    kept: 'attempt',
    event: { event_type: 'dead_letter_failed_again', user_id: null, letter: shown },
  };
}

// Value and key stay as they are: the same bytes, or those of an edit, which the group was given.
const newerSql = `
  UPDATE dead_letters.letter SET state = $2, version = version + 1, updated_at = clock_timestamp(),
         replaying_since = CASE WHEN $2 = 'replaying' THEN replaying_since END,
         deaths = greatest(deaths, $3), attempts = greatest(attempts, $4), failed_at = greatest(failed_at, $5),
         error_code = $6, error_class = $7, error_message = $8, error_stack = $9, fingerprint = $10,
         fingerprint_parts = $11, headers = $12, inbox_id = $13, dlq_topic = $14, dlq_partition = $15, dlq_offset = $16
   WHERE id = $1
  RETURNING version, tenant_id`;
