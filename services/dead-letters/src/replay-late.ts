/**
 * Replays that nobody answers: the group is gone or stands still, its topic was deleted, Kafka takes nothing. Their letters
 * wait again, so that a person can decide; and should the group handle the record after all, its inbox knows, and the letter
 * is resolved then.
 */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { type Fate, fatesOf } from './actions.ts';
import { appendLetterEvents, type Encode } from './events.ts';
import { type LetterRow, rowColumns } from './letter.ts';
import { inScope, system } from './scope.ts';
import { setState } from './store.ts';

/** Without an answer a replay ends after this; sooner when Kafka never took it. */
const answeredWithinS = 600;
const sentWithinS = 300;
const lookAgainS = 15;
const atOnce = 500;

export type Reason = { error_code: string; error_message: string };

/** Lets locked letters wait again, with the reason as an attempt: the error they died of stays theirs. */
export async function waitAgain(
  client: Client,
  encode: Encode,
  letters: readonly LetterRow[],
  why: (letter: LetterRow) => Reason,
): Promise<void> {
  const waiting = await setState(client, letters, 'waiting');
  const reasons = waiting.map(why);
  await client.query({
    name: 'dead_letters_wait_again',
    text: `INSERT INTO dead_letters.attempt (letter_id, number, tenant_id, attempt, failed_at, error_code, error_message, by)
           SELECT l.id, (SELECT coalesce(max(number), 0) + 1 FROM dead_letters.attempt WHERE letter_id = l.id), l.tenant_id,
                  l.attempts, clock_timestamp(), r.code, r.message, 'replay'
             FROM unnest($1::uuid[], $2::text[], $3::text[]) AS r (id, code, message) JOIN dead_letters.letter l ON l.id = r.id`,
    values: [
      waiting.map(({ id }) => id),
      reasons.map(({ error_code }) => error_code),
      reasons.map(({ error_message }) => error_message),
    ],
  });
  const event_type = 'dead_letter_failed_again';
  const events = waiting.map((letter) => ({ event_type, user_id: null, letter }) as const);
  await appendLetterEvents(client, encode, events);
}

export type LateParts = { pool: Pool; encoder: () => Promise<Encode> };

type Unanswered = LetterRow & { is_unsent: boolean };

/** Ends replays that are over their time; how many. What the inbox knows of is left to the settler. */
export async function endUnanswered({ pool, encoder, log }: LateParts & { log: Logger }): Promise<number> {
  const encode = await encoder();
  return inScope(pool, system, async (client) => {
    const { rows } = await client.query<Unanswered>({
      name: 'dead_letters_unanswered',
      text: `SELECT ${rowColumns}, s.letter_id IS NOT NULL AS is_unsent
               FROM dead_letters.letter l LEFT JOIN dead_letters.sending s ON s.letter_id = l.id
              WHERE l.state = 'replaying' AND l.replaying_since < clock_timestamp() - ${sentWithinS} * interval '1 second'
                AND (s.letter_id IS NOT NULL
                     OR l.replaying_since < clock_timestamp() - ${answeredWithinS} * interval '1 second')
              ORDER BY l.replaying_since LIMIT ${atOnce} FOR UPDATE OF l SKIP LOCKED`,
    });
    if (rows.length === 0) return 0;
    const fates = await fatesOf(client, rows);
    const isSilent = ({ parked_record }: LetterRow, fate: Fate | undefined) =>
      fate?.state !== 'gone' || (fate.outcome === null && parked_record === null);
    const silent = rows.filter((letter, at) => isSilent(letter, fates[at]));
    const ids = silent.map(({ id }) => id);
    await client.query('DELETE FROM dead_letters.sending WHERE letter_id = ANY ($1::uuid[])', [ids]);
    const unsent = new Set(silent.filter(({ is_unsent }) => is_unsent).map(({ id }) => id));
    await waitAgain(client, encode, silent, (letter) => reasonOf(letter, unsent.has(letter.id)));
    await client.query(
      `INSERT INTO dead_letters.unanswered (letter_id, tenant_id, look_at)
       SELECT id, tenant_id, clock_timestamp() FROM dead_letters.letter
        WHERE id = ANY ($1::uuid[]) AND source = 'ragline'
       ON CONFLICT (letter_id) DO UPDATE SET look_at = excluded.look_at`,
      [ids],
    );
    if (ids.length > 0)
      log.warn('replays were not answered: their letters wait again', { letters: ids.length });
    return ids.length;
  });
}

function reasonOf({ group_id }: LetterRow, isUnsent: boolean): Reason {
  return isUnsent
    ? {
        error_code: 'replay_not_sent',
        error_message: `Kafka did not take it within ${sentWithinS / 60} minutes`,
      }
    : {
        error_code: 'replay_not_answered',
        error_message: `Group ${group_id} did not come to it within ${answeredWithinS / 60} minutes; if it still does, the letter is resolved`,
      };
}

/** Looks whether groups have handled late what was given up: such letters are resolved. */
export async function settleLate({ pool, encoder }: LateParts): Promise<void> {
  const encode = await encoder();
  await inScope(pool, system, async (client) => {
    const { rows } = await client.query<LetterRow>({
      name: 'dead_letters_late',
      text: `SELECT ${rowColumns} FROM dead_letters.unanswered u JOIN dead_letters.letter l ON l.id = u.letter_id
              WHERE u.look_at < clock_timestamp() ORDER BY u.look_at LIMIT ${atOnce} FOR UPDATE SKIP LOCKED`,
    });
    if (rows.length === 0) return;
    const fates = await fatesOf(client, rows);
    const over: LetterRow[] = [];
    const handled: LetterRow[] = [];
    for (const [at, letter] of rows.entries()) {
      const outcome = fates[at]?.outcome ?? null;
      // Replayed anew or discarded meanwhile: whoever did that sees to it.
      if (letter.state !== 'waiting') over.push(letter);
      else if (outcome === 'handled') handled.push(letter);
    }
    const resolved = await setState(client, handled, 'resolved');
    const event_type = 'dead_letter_resolved';
    await appendLetterEvents(
      client,
      encode,
      resolved.map((letter) => ({ event_type, user_id: null, letter })),
    );
    const gone = new Set([...over, ...resolved].map(({ id }) => id));
    await client.query('DELETE FROM dead_letters.unanswered WHERE letter_id = ANY ($1::uuid[])', [[...gone]]);
    await client.query(
      `UPDATE dead_letters.unanswered SET look_at = clock_timestamp() + ${lookAgainS} * interval '1 second'
        WHERE letter_id = ANY ($1::uuid[])`,
      [rows.filter(({ id }) => !gone.has(id)).map(({ id }) => id)],
    );
  });
}
