/** Discards: a mark with a reason, which closes the record's id; and restores, which bring it back beside its line. */
import { randomUUID } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import {
  type ActionParts,
  type Actor,
  busy,
  fatesOf,
  type Outcome,
  refuseUntaken,
  routeOf,
} from './actions.ts';
import { actionOn, recordActions } from './audit.ts';
import { ownHeaders } from './edit-rules.ts';
import { appendLetterEvents, type Encode } from './events.ts';
import type { LetterHead, LetterRow } from './letter.ts';
import type { ClaimOptions } from './replay.ts';
import { inScope, type Scope } from './scope.ts';
import { setState, take } from './store.ts';

/** resolved: its group has handled it meanwhile, and the letter says so now. */
export type DiscardStatus = 'discarded' | 'resolved' | 'busy';

/** Discards waiting letters that the caller has locked, in the caller's transaction. */
export async function discardAll<L extends LetterHead>(
  client: Client,
  letters: readonly L[],
  { actor, scope, foreignReplayTopics, encode, batch_id, reason }: ClaimOptions & { reason: string },
): Promise<Outcome<DiscardStatus, L>[]> {
  const closed = await closeIds(client, letters, scope, foreignReplayTopics);
  const doubtful = letters.filter(({ id }) => closed.get(id) === 'doubtful');
  const fates = await fatesOf(client, doubtful);
  for (const [at, { id }] of doubtful.entries()) {
    // Of what nobody knows any more the letter is all that is left: it may go.
    closed.set(id, fates[at]?.outcome === 'handled' ? 'resolved' : 'discarded');
  }
  const of = (status: DiscardStatus) => letters.filter(({ id }) => closed.get(id) === status);
  const fields = { discard_reason: reason, ...(batch_id !== undefined && { batch_id }) };
  const discarded = await setState(client, of('discarded'), 'discarded', fields);
  const resolved = await setState(client, of('resolved'), 'resolved');
  const { user_id } = actor;
  await appendLetterEvents(client, encode, [
    ...discarded.map((letter) => ({ event_type: 'dead_letter_discarded' as const, user_id, letter })),
    ...resolved.map((letter) => ({ event_type: 'dead_letter_resolved' as const, user_id, letter })),
  ]);
  const more = { detail: { reason }, batch_id: batch_id ?? null };
  await recordActions(
    client,
    actor,
    discarded.map((letter) => actionOn(letter, 'discard', more)),
  );
  return [
    ...discarded.map((letter) => ({ letter, status: 'discarded' as const })),
    ...resolved.map((letter) => ({ letter, status: 'resolved' as const })),
    ...of('busy').map((letter) => ({ letter, status: 'busy' as const })),
  ];
}

/** By letter; doubtful: the id was closed before, or the record is in no line. */
async function closeIds(
  client: Client,
  letters: readonly LetterHead[],
  scope: Scope,
  foreignReplayTopics: ReadonlyMap<string, string>,
): Promise<Map<string, DiscardStatus | 'doubtful'>> {
  const statuses = new Map<string, DiscardStatus | 'doubtful'>();
  const parked = new Map<number, string>();
  const unordered: { id: string; group: string; inbox_id: string }[] = [];
  for (const letter of letters) {
    const route = routeOf(letter, foreignReplayTopics);
    if (route.kind === 'parked') parked.set(route.record, letter.id);
    else if (route.kind === 'unordered')
      unordered.push({ id: letter.id, group: letter.group_id, inbox_id: route.inbox_id });
    else statuses.set(letter.id, 'discarded');
  }
  if (parked.size > 0) {
    const { rows } = await client.query<{ record_id: number; status: string }>({
      name: 'dead_letters_discard_parked',
      text: 'SELECT record_id, status FROM streams.discard_parked($1, $2::bigint[])',
      values: [scope.tenant_id, [...parked.keys()]],
    });
    for (const { record_id, status } of rows) {
      const known = status === 'discarded' || status === 'busy' ? status : 'doubtful';
      statuses.set(parked.get(record_id) ?? '', known);
    }
  }
  // One call a group: an answer names the id alone.
  for (const group of new Set(unordered.map((it) => it.group))) {
    const of = unordered.filter((it) => it.group === group);
    const { rows } = await client.query<{ inbox_id: string; status: string }>({
      name: 'dead_letters_close_discarded',
      text: "SELECT inbox_id, status FROM streams.close_unordered($1, $2, 'discarded')",
      values: [of.map(() => group), of.map(({ inbox_id }) => inbox_id)],
    });
    const byInbox = new Map(rows.map(({ inbox_id, status }) => [inbox_id, status]));
    for (const { id, inbox_id } of of)
      statuses.set(id, byInbox.get(inbox_id) === 'closed' ? 'discarded' : 'doubtful');
  }
  return statuses;
}

/** Throws Problem not_found, busy, already_handled or conflict. */
export async function discardLetter(
  { pool, encoder, foreignReplayTopics }: ActionParts,
  actor: Actor,
  id: string,
  reason: string,
): Promise<LetterRow> {
  const encode = await encoder();
  const { scope } = actor;
  const [outcome] = await inScope(pool, scope, async (client) => {
    const letters = await take(client, [id], ['waiting']);
    if (letters.length === 0) return refuseUntaken(client, id, 'discard');
    return discardAll(client, letters, { actor, scope, foreignReplayTopics, encode, reason });
  });
  // Told after the COMMIT: the letter is resolved, and stays so.
  if (outcome?.status === 'resolved') {
    throw problem('already_handled', 'Its group has handled it meanwhile: the letter is resolved.');
  }
  if (outcome === undefined || outcome.status === 'busy') throw busy();
  return outcome.letter;
}

/** Brings a discarded letter back: waiting, under an id of its own. Throws Problem not_found, already_handled or conflict. */
export async function restoreLetter(
  { pool, encoder, foreignReplayTopics }: ActionParts,
  actor: Actor,
  id: string,
): Promise<LetterRow> {
  const encode = await encoder();
  return inScope(pool, actor.scope, async (client) => {
    const [before] = await take(client, [id], ['discarded']);
    if (before === undefined) return refuseUntaken(client, id, 'restore');
    const place = await giveNewPlace(client, actor.scope, before, foreignReplayTopics);
    const [letter] = await setState(client, [{ ...before, ...place }], 'waiting', { batch_id: null });
    if (letter === undefined) throw problem('not_found');
    await publishRestored(client, encode, actor, letter);
    return letter;
  });
}

async function publishRestored(
  client: Client,
  encode: Encode,
  actor: Actor,
  letter: LetterRow,
): Promise<void> {
  await appendLetterEvents(client, encode, [
    { event_type: 'dead_letter_restored', user_id: actor.user_id, letter },
  ]);
  await recordActions(client, actor, [actionOn(letter, 'restore')]);
}

/** The closed id stays closed: what goes on has a new one. */
async function giveNewPlace(
  client: Client,
  scope: Scope,
  letter: LetterRow,
  foreignReplayTopics: ReadonlyMap<string, string>,
): Promise<Partial<Pick<LetterRow, 'parked_record' | 'inbox_id' | 'deaths'>>> {
  const route = routeOf(letter, foreignReplayTopics);
  if (route.kind === 'unordered') {
    const inbox_id = `restored:${randomUUID()}`;
    await client.query({
      name: 'dead_letters_new_inbox_id',
      text: 'UPDATE dead_letters.letter SET inbox_id = $2 WHERE id = $1',
      values: [letter.id, inbox_id],
    });
    return { inbox_id };
  }
  if (route.kind !== 'parked') return {};
  // The letter's version, so that the same restore asked for again finds the record of the first.
  const inbox_id = `restored:${letter.id}/${letter.version}`;
  const { rows } = await client.query<{ record: number | null }>({
    name: 'dead_letters_restore_parked',
    text: 'SELECT streams.restore_parked($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS record',
    values: [
      scope.tenant_id,
      letter.group_id,
      letter.topic,
      letter.partition,
      letter.offset,
      letter.key,
      letter.tenant_id,
      letter.event_id ?? '',
      letter.value,
      JSON.stringify(ownHeaders(letter.headers)),
      JSON.stringify(errorOf(letter)),
      inbox_id,
    ],
  });
  const record = rows[0]?.record ?? null;
  if (record === null) throw problem('not_found');
  const place = { parked_record: record, inbox_id, deaths: 1 };
  await client.query({
    name: 'dead_letters_new_record',
    text: 'UPDATE dead_letters.letter SET parked_record = $2, inbox_id = $3, deaths = $4 WHERE id = $1',
    values: [letter.id, place.parked_record, place.inbox_id, place.deaths],
  });
  return place;
}

function errorOf(letter: LetterRow) {
  return {
    code: letter.error_code ?? '',
    class: letter.error_class ?? '',
    message: letter.error_message ?? '',
    stack: letter.error_stack ?? '',
    attempt: letter.attempts,
    not_before: letter.failed_at.toISOString(),
    failed_at: letter.failed_at.toISOString(),
  };
}
