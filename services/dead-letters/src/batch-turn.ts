/** One turn of a batch: outcomes are taken in, and, in the same transaction, the next letters are claimed. */
import type { Client } from '@ragline/postgres/pool';
import { type BatchStep, nextStep } from './batch-plan.ts';
import { type BatchRow, batchColumns } from './batch-store.ts';
import { discardAll } from './discard.ts';
import type { Encode } from './events.ts';
import type { LetterRow } from './letter.ts';
import { claimForReplay } from './replay.ts';
import { takeHeads, wholeOf } from './store.ts';

export type TurnOptions = {
  runner: string;
  leaseMs: number;
  /** How many the rate allows now. */
  allowance: number;
  /** Letters at most; less after a turn that failed. */
  atMost: number;
  encode: Encode;
  foreignReplayTopics: ReadonlyMap<string, string>;
};

/** lost: another has it, or it is gone · idle: nothing to send now · settled: nothing will be, unless somebody resumes it */
export type Turn =
  | { kind: 'lost' | 'idle' | 'settled' }
  | { kind: 'sent'; claimed: number; toSend: LetterRow[] };

/** In the caller's transaction, of the operator's scope. Whoever pauses the batch waits for it, and then nothing is sent. */
export async function turn(client: Client, batchId: string, options: TurnOptions): Promise<Turn> {
  const { rows } = await client.query<BatchRow>({
    name: 'dead_letters_batch_turn',
    text: `UPDATE dead_letters.batch b
              SET lease_until = clock_timestamp() + $3 * interval '1 millisecond',
                  state = CASE WHEN b.state = 'scheduled' AND b.starts_at <= clock_timestamp() THEN 'running' ELSE b.state END
            WHERE b.id = $1 AND b.runner = $2 RETURNING ${batchColumns}`,
    values: [batchId, options.runner, options.leaseMs],
  });
  const [batch] = rows;
  if (batch === undefined) return { kind: 'lost' };
  const present = await takeOutcomes(client, batch);
  if (present.state !== 'running') return { kind: present.in_flight > 0 ? 'idle' : 'settled' };
  const step = nextStep(settingsOf(present), { ...present, behind: 0 }, options.allowance);
  return act(client, present, step, options);
}

async function act(client: Client, batch: BatchRow, step: BatchStep, options: TurnOptions): Promise<Turn> {
  switch (step.kind) {
    case 'wait':
      return { kind: 'idle' };
    case 'done':
      await finish(client, batch.id, 'done', null);
      return { kind: 'settled' };
    case 'stop':
      await finish(client, batch.id, 'stopped', step.reason);
      return { kind: batch.in_flight > 0 ? 'idle' : 'settled' };
    case 'give-up-behind':
      await giveUp(client, batch.id);
      return { kind: 'idle' };
    case 'send':
      return claimNext(client, batch, Math.min(step.atMost, options.atMost), options);
  }
}

function settingsOf({ rate_per_s, ramp, in_flight_max: in_flight, stop_on_failures }: BatchRow) {
  return { rate_per_s, ramp, in_flight, stop_on_failures };
}

/** What became of the letters that were sent. A letter that is forgotten meanwhile is passed over. */
async function takeOutcomes(client: Client, batch: BatchRow): Promise<BatchRow> {
  if (batch.in_flight === 0) return batch;
  const { rows } = await client.query<Sent & { n: number }>({
    name: 'dead_letters_batch_outcomes',
    // Without those that are still under way, which most of them are. Letter by letter, by a LATERAL that is not pulled up:
    // the planner does not know how many there are (see markItems).
    text: `SELECT i.n, l.state, l.batch_id FROM dead_letters.batch_item i
             LEFT JOIN LATERAL (SELECT q.id, q.state, q.batch_id FROM dead_letters.letter q WHERE q.id = i.letter_id OFFSET 0) l ON true
            WHERE i.batch_id = $1 AND i.state = 'sent'
              AND (l.id IS NULL OR l.state <> 'replaying' OR l.batch_id IS DISTINCT FROM $1)`,
    values: [batch.id],
  });
  const settled = rows.flatMap(({ n, ...letter }) => {
    const outcome = outcomeOf(letter, batch.id);
    return outcome === undefined ? [] : [{ n, ...outcome }];
  });
  if (settled.length === 0) return batch;
  await markItems(client, batch.id, settled);
  const of = (state: Result['state']) => settled.filter((it) => it.state === state).length;
  const moved = { resolved: of('resolved'), failed: of('failed'), skipped: of('skipped') };
  return count(client, batch.id, { ...moved, in_flight: -settled.length });
}

/** @property state null: it is forgotten */
type Sent = Pick<LetterRow, 'batch_id'> & { state: LetterRow['state'] | null };

/** undefined: there is none yet. */
function outcomeOf(letter: Sent, batchId: string): Result | undefined {
  if (letter.state === null) return { state: 'skipped', detail: 'forgotten' };
  // Taken by another batch or by hand: it must have failed here before.
  if (letter.batch_id !== batchId) return { state: 'failed', detail: null };
  switch (letter.state) {
    case 'replaying':
      return undefined;
    case 'resolved':
      return { state: 'resolved', detail: null };
    case 'waiting':
      return { state: 'failed', detail: null };
    case 'discarded':
      return { state: 'skipped', detail: 'discarded' };
  }
}

type Counters = 'pending' | 'in_flight' | 'resolved' | 'discarded' | 'failed' | 'skipped';

async function count(client: Client, id: string, by: Partial<Record<Counters, number>>): Promise<BatchRow> {
  const { rows } = await client.query<BatchRow>({
    name: 'dead_letters_batch_count',
    text: `UPDATE dead_letters.batch b
              SET pending = b.pending + $2, in_flight = b.in_flight + $3, resolved = b.resolved + $4,
                  discarded = b.discarded + $5, failed = b.failed + $6, skipped = b.skipped + $7, updated_at = clock_timestamp()
            WHERE b.id = $1 RETURNING ${batchColumns}`,
    values: [
      id,
      by.pending ?? 0,
      by.in_flight ?? 0,
      by.resolved ?? 0,
      by.discarded ?? 0,
      by.failed ?? 0,
      by.skipped ?? 0,
    ],
  });
  const [batch] = rows;
  if (batch === undefined) throw new Error('A batch has gone while it was locked');
  return batch;
}

async function claimNext(
  client: Client,
  batch: BatchRow,
  atMost: number,
  options: TurnOptions,
): Promise<Turn> {
  const { rows: items } = await client.query<{ n: number; letter_id: string }>({
    name: 'dead_letters_batch_next',
    text: `SELECT n, letter_id FROM dead_letters.batch_item
            WHERE batch_id = $1 AND state = 'pending' AND (not_before IS NULL OR not_before <= clock_timestamp())
            ORDER BY n LIMIT $2`,
    values: [batch.id, atMost],
  });
  if (items.length === 0) return withoutItems(client, batch);
  const ids = items.map(({ letter_id }) => letter_id);
  const letters = await takeHeads(client, ids, ['waiting']);
  const results = new Map<string, Result>();
  const { encode, foreignReplayTopics } = options;
  const actor = { user_id: batch.actor_user_id, tenant_id: batch.actor_tenant_id };
  const scope = { tenant_id: batch.tenant_id, user_id: batch.actor_user_id };
  const own = letters.filter(({ tenant_id }) => batch.tenant_id === null || tenant_id === batch.tenant_id);
  const claim = { actor, scope, foreignReplayTopics, encode, batch_id: batch.id };
  let toSend: LetterRow[] = [];
  if (batch.action === 'replay') {
    const claimed = await claimForReplay(client, own, claim);
    toSend = await wholeOf(client, claimed.toSend);
    for (const { letter, status } of claimed.outcomes) results.set(letter.id, resultOf(status));
  } else {
    for (const { letter, status } of await discardAll(client, own, { ...claim, reason: batch.reason }))
      results.set(letter.id, resultOf(status));
  }
  const all = items.map(({ n, letter_id }) => ({ n, ...(results.get(letter_id) ?? notWaiting) }));
  await markItems(client, batch.id, all);
  const of = (state: Result['state']) => all.filter((it) => it.state === state).length;
  // Without a change updated_at stays: see withoutItems.
  if (of('pending') === all.length) return { kind: 'idle' };
  await count(client, batch.id, {
    pending: of('pending') - all.length,
    in_flight: of('sent'),
    resolved: of('resolved'),
    discarded: of('discarded'),
    skipped: of('skipped'),
  });
  return { kind: 'sent', claimed: all.length - of('pending'), toSend };
}

type Result = {
  state: 'pending' | 'sent' | 'resolved' | 'discarded' | 'failed' | 'skipped';
  detail: string | null;
};

// Replayed or discarded by somebody since the selection was frozen, or forgotten.
const notWaiting: Result = { state: 'skipped', detail: 'not_waiting' };

function resultOf(status: string): Result {
  switch (status) {
    case 'replaying':
      return { state: 'sent', detail: null };
    case 'resolved':
      return { state: 'resolved', detail: null };
    case 'discarded':
      return { state: 'discarded', detail: null };
    case 'busy':
    case 'not_head':
      return { state: 'pending', detail: status };
    default:
      return { state: 'skipped', detail: status };
  }
}

const tryAgainMs = 500;

async function markItems(
  client: Client,
  id: string,
  items: readonly ({ n: number } & Result)[],
): Promise<void> {
  // A statement for each of the few results, by their numbers: a join with an array is planned without knowing how many
  // items there are, and so may compare each with each.
  const alike = Map.groupBy(items, ({ state, detail }) => `${state} ${detail}`);
  for (const of of alike.values()) {
    await client.query({
      name: 'dead_letters_batch_mark',
      text: `UPDATE dead_letters.batch_item i
                SET state = $3, detail = $4,
                    not_before = CASE WHEN $3 = 'pending' THEN clock_timestamp() + ${tryAgainMs} * interval '1 millisecond' END
              WHERE i.batch_id = $1 AND i.n = ANY ($2::int[])`,
      values: [id, of.map(({ n }) => n), of[0]?.state, of[0]?.detail],
    });
  }
}

/** All that is left waits for something: for a line's head, which may be in the batch and under way, or for a lock. */
async function withoutItems(client: Client, batch: BatchRow): Promise<Turn> {
  const { rows } = await client.query<{ behind: number }>({
    name: 'dead_letters_batch_behind',
    // Tried since the batch changed: a head that has left may have been in it.
    text: `SELECT count(*) AS behind FROM dead_letters.batch_item i JOIN dead_letters.batch b ON b.id = i.batch_id
            WHERE i.batch_id = $1 AND i.state = 'pending' AND i.detail = 'not_head'
              AND i.not_before - ${tryAgainMs} * interval '1 millisecond' > b.updated_at`,
    values: [batch.id],
  });
  const step = nextStep(settingsOf(batch), { ...batch, behind: rows[0]?.behind ?? 0 }, 1);
  if (step.kind === 'give-up-behind') await giveUp(client, batch.id);
  return { kind: 'idle' };
}

async function giveUp(client: Client, id: string): Promise<void> {
  const { rowCount } = await client.query({
    name: 'dead_letters_batch_give_up',
    text: `UPDATE dead_letters.batch_item SET state = 'skipped' WHERE batch_id = $1 AND state = 'pending' AND detail = 'not_head'`,
    values: [id],
  });
  await count(client, id, { pending: -(rowCount ?? 0), skipped: rowCount ?? 0 });
}

async function finish(
  client: Client,
  id: string,
  state: 'done' | 'stopped',
  reason: string | null,
): Promise<void> {
  await client.query({
    name: 'dead_letters_batch_finish',
    text: `UPDATE dead_letters.batch SET state = $2, state_reason = $3, updated_at = clock_timestamp(),
                  finished_at = CASE WHEN $2 = 'done' THEN clock_timestamp() END
            WHERE id = $1`,
    values: [id, state, reason],
  });
}
