/** Letters in Postgres: read by page, by id and in sums, and changed under their lock. */
import type { Client, Pool } from '@ragline/postgres/pool';
import { type ActionRow, actionsOf } from './audit.ts';
import type { EventLetter } from './events.ts';
import {
  type AttemptRow,
  headColumns,
  type LetterHead,
  type LetterRow,
  type LetterState,
  type LetterSummary,
  type NoteRow,
  rowColumns,
} from './letter.ts';
import { type Filter, type PageOf, pageOfLetters } from './letter-filter.ts';
import { inScope, type Scope } from './scope.ts';
import { type GroupPage, groupsOf, type LetterGroup, type Stats, statsOf } from './sums.ts';

export type LetterStore = ReturnType<typeof letterStore>;

/** A letter with all that belongs to it, oldest first. */
export type WholeLetter = {
  letter: LetterRow;
  history: AttemptRow[];
  notes: NoteRow[];
  /** What people did to it; absent in exports. */
  actions?: ActionRow[];
};

export function letterStore(pool: Pool) {
  return {
    /** A page, newest first; short of `limit` with a cursor when much was read and little found. */
    list(
      scope: Scope,
      filter: Filter,
      page: { before: string | undefined; limit: number },
    ): Promise<PageOf<LetterSummary>> {
      return inScope(pool, scope, (client) => pageOfLetters(client, scope, filter, page));
    },

    /** undefined also when it is another tenant's. */
    get(scope: Scope, id: string): Promise<WholeLetter | undefined> {
      return inScope(pool, scope, (client) => wholeLetter(client, id));
    },

    groups(scope: Scope, page: GroupPage): Promise<LetterGroup[]> {
      return inScope(pool, scope, (client) => groupsOf(client, scope, page));
    },

    stats(scope: Scope): Promise<Stats> {
      return inScope(pool, scope, (client) => statsOf(client, scope));
    },
  };
}

/** The letter with its attempts and notes, in the caller's transaction and scope. */
export async function wholeLetter(client: Client, id: string): Promise<WholeLetter | undefined> {
  const { rows } = await client.query<LetterRow>({
    name: 'dead_letters_get',
    text: `SELECT ${rowColumns} FROM dead_letters.letter l WHERE l.id = $1`,
    values: [id],
  });
  const [letter] = rows;
  if (letter === undefined) return undefined;
  const history = await client.query<AttemptRow>({
    name: 'dead_letters_attempts',
    text: `SELECT number, attempt, failed_at, error_code, error_class, error_message, error_stack, by
             FROM dead_letters.attempt WHERE letter_id = $1 ORDER BY number`,
    values: [id],
  });
  const notes = await client.query<NoteRow>({
    name: 'dead_letters_notes',
    text: 'SELECT id, user_id, text, at FROM dead_letters.note WHERE letter_id = $1 ORDER BY id',
    values: [id],
  });
  return { letter, history: history.rows, notes: notes.rows, actions: await actionsOf(client, id) };
}

/**
 * Locks those of the letters that are in one of the states, in the order of their ids; waits for who has them.
 * What is missing in the answer is another tenant's, gone, or in another state.
 */
export async function take(
  client: Client,
  ids: readonly string[],
  from: readonly LetterState[],
): Promise<LetterRow[]> {
  const { rows } = await client.query<LetterRow>({
    name: 'dead_letters_take',
    text: `SELECT ${rowColumns} FROM dead_letters.letter l WHERE l.id = ANY ($1::uuid[]) AND l.state = ANY ($2)
            ORDER BY l.id FOR UPDATE`,
    values: [ids, from],
  });
  return rows;
}

/** The same of many letters, of which no more is read than it takes to decide about them. */
export async function takeHeads(
  client: Client,
  ids: readonly string[],
  from: readonly LetterState[],
): Promise<LetterHead[]> {
  const { rows } = await client.query<LetterHead>({
    name: 'dead_letters_take_heads',
    text: `SELECT ${headColumns} FROM dead_letters.letter l WHERE l.id = ANY ($1::uuid[]) AND l.state = ANY ($2)
            ORDER BY l.id FOR UPDATE`,
    values: [ids, from],
  });
  return rows;
}

/** Whole letters, as the caller's transaction has left them. */
export async function wholeOf(client: Client, letters: readonly LetterHead[]): Promise<LetterRow[]> {
  if (letters.length === 0) return [];
  const { rows } = await client.query<LetterRow>({
    name: 'dead_letters_whole',
    text: `SELECT ${rowColumns} FROM dead_letters.letter l WHERE l.id = ANY ($1::uuid[]) ORDER BY l.id`,
    values: [letters.map(({ id }) => id)],
  });
  return rows;
}

/** What a change of state may set beside it; what is left out stays, or follows from the state. */
export type StateFields = { discard_reason?: string; batch_id?: string | null };

type Changed = Pick<
  LetterRow,
  | 'id'
  | 'state'
  | 'version'
  | 'updated_at'
  | 'replaying_since'
  | 'resolved_at'
  | 'discarded_at'
  | 'discard_reason'
  | 'batch_id'
>;

/**
 * Moves letters that `take` gave into the state, as one more version each; gives them as they are then, in the order of the
 * arguments. `replaying_since`, `resolved_at`, `discarded_at` and `discard_reason` follow from the state.
 */
export async function setState<L extends EventLetter>(
  client: Client,
  letters: readonly L[],
  state: LetterState,
  fields: StateFields = {},
): Promise<(L & Changed)[]> {
  if (letters.length === 0) return [];
  // What changes and no more: a thousand letters with their values would be megabytes, read and parsed a second time.
  const { rows } = await client.query<Changed>({
    name: 'dead_letters_set_state',
    text: `UPDATE dead_letters.letter l
              SET state = $2, version = l.version + 1, updated_at = clock_timestamp(),
                  replaying_since = CASE WHEN $2 = 'replaying' THEN clock_timestamp() END,
                  resolved_at = CASE WHEN $2 = 'resolved' THEN clock_timestamp() END,
                  discarded_at = CASE WHEN $2 = 'discarded' THEN clock_timestamp() END,
                  discard_reason = CASE WHEN $2 = 'discarded' THEN $3 END,
                  batch_id = CASE WHEN $4 THEN $5::uuid ELSE l.batch_id END
            WHERE l.id = ANY ($1::uuid[])
        RETURNING l.id, l.state, l.version, l.updated_at, l.replaying_since, l.resolved_at, l.discarded_at, l.discard_reason,
                  l.batch_id`,
    values: [
      letters.map(({ id }) => id),
      state,
      fields.discard_reason ?? null,
      fields.batch_id !== undefined,
      fields.batch_id ?? null,
    ],
  });
  const changed = new Map(rows.map((row) => [row.id, row]));
  return letters.flatMap((letter) => {
    const row = changed.get(letter.id);
    return row === undefined ? [] : [{ ...letter, ...row }];
  });
}
