/** What all actions on letters have in common: their parts, the way back to the group, and their refusals. */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { type Problem, problem } from '@ragline/web/problems';
import type { Actor } from './audit.ts';
import type { Encode } from './events.ts';
import type { LetterRow, LetterState } from './letter.ts';
import { inScope, type Scope } from './scope.ts';

export type ActionParts = {
  pool: Pool;
  /** The encoder of dead_letter_v1; may have to wait, so asked for before a transaction. */
  encoder: () => Promise<Encode>;
  /** By group: where its letters are sent when they are replayed, if the group is not RAGline's. */
  foreignReplayTopics: ReadonlyMap<string, string>;
  log: Logger;
};

/** The way back to the group that failed. */
export type Route =
  | { kind: 'parked'; record: number }
  /** To the group's own topic; the inbox knows the id. */
  | { kind: 'unordered'; topic: string; inbox_id: string }
  | { kind: 'foreign'; topic: string }
  | { kind: 'none' };

export function routeOf(
  letter: Pick<LetterRow, 'source' | 'group_id' | 'parked_record' | 'inbox_id' | 'event_id'>,
  foreignReplayTopics: ReadonlyMap<string, string>,
): Route {
  const { source, group_id, parked_record, inbox_id, event_id } = letter;
  if (parked_record !== null) return { kind: 'parked', record: parked_record };
  const known = inbox_id ?? event_id;
  if (source === 'ragline' && known !== null) {
    return { kind: 'unordered', topic: `${group_id}.replay`, inbox_id: known };
  }
  const topic = foreignReplayTopics.get(group_id);
  return topic === undefined ? { kind: 'none' } : { kind: 'foreign', topic };
}

/** Where a record stands by now. */
export type Fate = {
  state: 'dead' | 'waiting' | 'gone';
  inbox_id: string | null;
  /** Of the inbox, once it is gone: handled, discarded, edited, released. */
  outcome: string | null;
};

/** The fates of the letters' records, in their order. */
export async function fatesOf(
  client: Client,
  letters: readonly Pick<LetterRow, 'parked_record' | 'group_id' | 'inbox_id' | 'event_id'>[],
): Promise<Fate[]> {
  if (letters.length === 0) return [];
  const { rows } = await client.query<Fate>({
    name: 'dead_letters_action_fates',
    text: 'SELECT state, inbox_id, outcome FROM streams.fate($1::bigint[], $2::text[], $3::text[])',
    values: [
      letters.map(({ parked_record }) => parked_record),
      letters.map(({ group_id }) => group_id),
      letters.map(({ inbox_id, event_id }) => inbox_id ?? event_id),
    ],
  });
  return rows;
}

/** Why a letter in this state cannot be acted on; only those that wait can (and, to be restored, the discarded). */
function wrongState(state: LetterState, verb: string): Problem {
  if (state === 'resolved')
    return problem('already_handled', 'The letter is resolved: its group has handled it.');
  const what = {
    waiting: 'waits',
    replaying: 'is being replayed; without an answer it waits again after ten minutes',
    discarded: 'is discarded: restore it first',
  }[state];
  return problem('conflict', `Cannot ${verb}: the letter ${what}.`);
}

/** Throws the problem of a letter that could not be taken: not_found, or that of its present state. */
export async function refuseUntaken(client: Client, id: string, verb: string): Promise<never> {
  const { rows } = await client.query<{ state: LetterState }>({
    name: 'dead_letters_state_of',
    text: 'SELECT state FROM dead_letters.letter WHERE id = $1',
    values: [id],
  });
  const [row] = rows;
  throw row === undefined ? problem('not_found') : wrongState(row.state, verb);
}

/**
 * Says which letter is the head of the line that this one waits in; undefined when that cannot be told.
 * Lines are read by page, some thousands at most.
 */
export async function headOf(
  pool: Pool,
  scope: Scope,
  letter: Pick<LetterRow, 'group_id' | 'topic' | 'key'>,
): Promise<string | undefined> {
  return inScope(pool, scope, async (client) => {
    let after = 0;
    for (let page = 0; page < 10; page++) {
      const { rows } = await client.query<{
        id: number;
        key: Buffer | null;
        detached: boolean;
        head: number;
      }>(`SELECT id, key, detached, head_record_id AS head FROM streams.parked_lines($1, $2, $3, $4, 500)`, [
        scope.tenant_id,
        letter.group_id,
        letter.topic,
        after,
      ]);
      const line = rows.find(({ key, detached }) => !detached && key !== null && letter.key?.equals(key));
      if (line !== undefined) {
        const found = await client.query<{ id: string }>(
          'SELECT id FROM dead_letters.letter WHERE identity = $1',
          [`${letter.group_id}#${line.head}`],
        );
        return found.rows[0]?.id;
      }
      after = rows.at(-1)?.id ?? 0;
      if (rows.length < 500) return undefined;
    }
    return undefined;
  });
}

/** What one letter's action came to. */
export type Outcome<S extends string, L = LetterRow> = { letter: L; status: S };

export const busy = (): Problem =>
  problem('busy', 'The record is being tried at this moment.', { headers: { 'retry-after': '1' } });

export type { Actor };
