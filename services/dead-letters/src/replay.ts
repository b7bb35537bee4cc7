/**
 * Replays: back to the group that failed, and to no other, for one attempt.
 *
 * Groups that keep order: the record becomes due in its line, in the transaction that claims the letter. Others: the claim
 * commits, with a row in `sending`, before the record is sent; so two people cannot send it twice, no row is locked while
 * Kafka is slow, and after a crash in between the sweeper sends it again, which the group's inbox knows.
 */
import type { Client } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import {
  type ActionParts,
  type Actor,
  busy,
  fatesOf,
  headOf,
  type Outcome,
  refuseUntaken,
  routeOf,
} from './actions.ts';
import { actionOn, recordActions } from './audit.ts';
import { appendLetterEvents, type Encode } from './events.ts';
import type { LetterHead, LetterRow } from './letter.ts';
import { missingTopic } from './replay-producer.ts';
import type { ReplaySender } from './replay-sender.ts';
import { inScope, type Scope } from './scope.ts';
import { setState, take } from './store.ts';

/**
 * resolved, discarded: it had come to that meanwhile, and the letter says so now · not_head: another record of its line
 * comes first · gone: nobody knows what became of the record · no_route: the group is not RAGline's and has no topic
 */
export type ReplayStatus = 'replaying' | 'resolved' | 'discarded' | 'busy' | 'not_head' | 'gone' | 'no_route';

export type Claimed<L> = { outcomes: Outcome<ReplayStatus, L>[]; toSend: L[] };

/** A claim stands this long without a sign of life of who made it. */
export const sendWithinS = 30;

export type ClaimOptions = {
  actor: Pick<Actor, 'user_id' | 'tenant_id'>;
  scope: Scope;
  foreignReplayTopics: ReadonlyMap<string, string>;
  encode: Encode;
  batch_id?: string;
};

/** Claims waiting letters that the caller has locked, in the caller's transaction. Those in `toSend` are sent after its COMMIT. */
export async function claimForReplay<L extends LetterHead>(
  client: Client,
  letters: readonly L[],
  { actor, scope, foreignReplayTopics, encode, batch_id }: ClaimOptions,
): Promise<Claimed<L>> {
  const statuses = new Map<string, ReplayStatus>();
  const toSend = new Set<string>();
  const parked: L[] = [];
  const asked: L[] = [];
  for (const letter of letters) {
    const route = routeOf(letter, foreignReplayTopics);
    statuses.set(letter.id, route.kind === 'none' ? 'no_route' : 'replaying');
    if (route.kind === 'parked') parked.push(letter);
    if (route.kind === 'unordered') asked.push(letter);
    if (route.kind === 'unordered' || route.kind === 'foreign') toSend.add(letter.id);
  }
  for (const letter of await makeDue(client, scope, parked, statuses)) asked.push(letter);
  const fates = await fatesOf(client, asked);
  for (const [at, { id }] of asked.entries()) {
    const status = statusOf(fates[at]?.outcome ?? null, toSend.has(id));
    statuses.set(id, status);
    if (status !== 'replaying') toSend.delete(id);
  }

  const of = (status: ReplayStatus) => letters.filter(({ id }) => statuses.get(id) === status);
  const replaying = await setState(client, of('replaying'), 'replaying', { batch_id: batch_id ?? null });
  const resolved = await setState(client, of('resolved'), 'resolved');
  const discarded = await setState(client, of('discarded'), 'discarded', {
    discard_reason: 'discarded in its line',
  });
  const sending = replaying.filter(({ id }) => toSend.has(id));
  if (sending.length > 0) await claimSending(client, sending);
  const { user_id } = actor;
  await appendLetterEvents(client, encode, [
    ...replaying.map((letter) => ({ event_type: 'dead_letter_replaying' as const, user_id, letter })),
    ...resolved.map((letter) => ({ event_type: 'dead_letter_resolved' as const, user_id, letter })),
    ...discarded.map((letter) => ({ event_type: 'dead_letter_discarded' as const, user_id, letter })),
  ]);
  await recordActions(
    client,
    actor,
    replaying.map((letter) => actionOn(letter, 'replay', { batch_id: batch_id ?? null })),
  );
  const present = new Map([...replaying, ...resolved, ...discarded].map((letter) => [letter.id, letter]));
  return {
    outcomes: letters.map((letter) => ({
      letter: present.get(letter.id) ?? letter,
      status: statuses.get(letter.id) ?? 'gone',
    })),
    toSend: sending,
  };
}

async function claimSending(client: Client, letters: readonly LetterHead[]): Promise<void> {
  await client.query({
    name: 'dead_letters_claim_sending',
    text: `INSERT INTO dead_letters.sending (letter_id, tenant_id, version, until)
           SELECT id, tenant_id, version, clock_timestamp() + $4 * interval '1 second'
             FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS s (id, tenant_id, version)
           ON CONFLICT (letter_id) DO UPDATE SET until = excluded.until, version = excluded.version`,
    values: [
      letters.map(({ id }) => id),
      letters.map(({ tenant_id }) => tenant_id),
      letters.map(({ version }) => version),
      sendWithinS,
    ],
  });
}

/** Makes the heads due; gives the letters whose records are in no line any more. */
async function makeDue<L extends LetterHead>(
  client: Client,
  scope: Scope,
  letters: readonly L[],
  statuses: Map<string, ReplayStatus>,
): Promise<L[]> {
  if (letters.length === 0) return [];
  const { rows } = await client.query<{ record_id: number; status: ReplayStatus }>({
    name: 'dead_letters_replay_parked',
    text: 'SELECT record_id, status FROM streams.replay_parked($1, $2::bigint[])',
    values: [scope.tenant_id, letters.map(({ parked_record }) => parked_record)],
  });
  const byRecord = new Map(rows.map(({ record_id, status }) => [record_id, status]));
  const gone: L[] = [];
  for (const letter of letters) {
    const status = byRecord.get(letter.parked_record ?? 0) ?? 'gone';
    statuses.set(letter.id, status);
    if (status === 'gone') gone.push(letter);
  }
  return gone;
}

/** @param isSent whether it can still be sent when the inbox does not know it; a record out of its line cannot */
function statusOf(outcome: string | null, isSent: boolean): ReplayStatus {
  if (outcome === 'handled') return 'resolved';
  if (outcome === 'discarded') return 'discarded';
  return outcome === null && isSent ? 'replaying' : 'gone';
}

export type ReplayParts = ActionParts & { sender: ReplaySender };

/** The topic that the letter would be sent to, if it does not exist: asked for before the letter is locked. */
async function topicMissing(
  { pool, sender, foreignReplayTopics }: ReplayParts,
  scope: Scope,
  id: string,
): Promise<string | undefined> {
  const letter = await inScope(pool, scope, async (client) => {
    const { rows } = await client.query<Parameters<typeof routeOf>[0]>({
      name: 'dead_letters_route_of',
      text: 'SELECT source, group_id, parked_record, inbox_id, event_id FROM dead_letters.letter WHERE id = $1',
      values: [id],
    });
    return rows[0];
  });
  if (letter === undefined) return undefined;
  const route = routeOf(letter, foreignReplayTopics);
  if (route.kind !== 'unordered' && route.kind !== 'foreign') return undefined;
  return (await sender.hasTopic(route.topic)) ? undefined : route.topic;
}

/** Replays one letter; gives it as it is then. Throws Problem not_found, busy, already_handled or conflict. */
export async function replayLetter(parts: ReplayParts, actor: Actor, id: string): Promise<LetterRow> {
  const { pool, encoder, sender, foreignReplayTopics } = parts;
  const encode = await encoder();
  const { scope } = actor;
  const missing = await topicMissing(parts, scope, id);
  const { outcomes, toSend } = await inScope(pool, scope, async (client) => {
    const letters = await take(client, [id], ['waiting']);
    if (letters.length === 0) return refuseUntaken(client, id, 'replay');
    const claimed = await claimForReplay(client, letters, { actor, scope, foreignReplayTopics, encode });
    // Thrown here, it undoes the claim.
    if (missing !== undefined && claimed.toSend.length > 0) throw problem('conflict', missingTopic(missing));
    return claimed;
  });
  sender.send(toSend);
  const [outcome] = outcomes;
  if (outcome === undefined) throw problem('not_found');
  const { letter, status } = outcome;
  switch (status) {
    case 'replaying':
    case 'resolved':
    case 'discarded':
      return letter;
    case 'busy':
      throw busy();
    case 'gone':
      throw problem('conflict', 'Its record is in no line any more, and the inbox does not know it.');
    case 'no_route':
      throw problem(
        'conflict',
        `Nothing says where letters of group ${letter.group_id} are sent: FOREIGN_REPLAY_TOPICS has no entry ${letter.group_id}=<topic>.`,
      );
    case 'not_head': {
      const head = await headOf(pool, scope, letter);
      throw problem(
        'conflict',
        head === undefined
          ? 'Another record of its line comes first.'
          : `Letter ${head} is the head of its line and comes first.`,
        { members: { head: head ?? null } },
      );
    }
  }
}
