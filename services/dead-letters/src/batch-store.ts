/** Batches in Postgres: what was asked for, how far it is, and who may change that. */
import type { Client, Pool } from '@ragline/postgres/pool';
import { decodePageCursor, encodePageCursor } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { type Actor, recordActions, type Verb } from './audit.ts';
import { inScope, type Scope } from './scope.ts';

export type BatchState = 'scheduled' | 'running' | 'paused' | 'stopped' | 'cancelled' | 'done';

export type BatchRow = {
  id: string;
  tenant_id: string | null;
  actor_user_id: string;
  actor_tenant_id: string;
  action: 'replay' | 'discard';
  reason: string;
  selection: unknown;
  state: BatchState;
  state_reason: string | null;
  rate_per_s: number | null;
  ramp: number[];
  in_flight_max: number;
  stop_on_failures: number | null;
  starts_at: Date;
  created_at: Date;
  updated_at: Date;
  finished_at: Date | null;
  selected: number;
  pending: number;
  in_flight: number;
  resolved: number;
  discarded: number;
  failed: number;
  skipped: number;
  forgiven: number;
};

export const batchColumns = `b.id, b.tenant_id, b.actor_user_id, b.actor_tenant_id, b.action, b.reason, b.selection, b.state,
  b.state_reason, b.rate_per_s, b.ramp, b.in_flight_max, b.stop_on_failures, b.starts_at, b.created_at, b.updated_at, b.finished_at,
  b.selected, b.pending, b.in_flight, b.resolved, b.discarded, b.failed, b.skipped, b.forgiven`;

/** A batch as its reader sees it. */
export function batchView(batch: BatchRow) {
  const { id, action, reason, selection, state, state_reason, tenant_id, actor_user_id } = batch;
  const { rate_per_s, ramp, in_flight_max, stop_on_failures } = batch;
  const { selected, pending, in_flight, resolved, discarded, failed, skipped } = batch;
  return {
    id,
    state,
    state_reason,
    action,
    reason,
    selection,
    tenant_id,
    user_id: actor_user_id,
    rate_per_s,
    ramp,
    in_flight: in_flight_max,
    stop_on_failures,
    counts: {
      selected,
      pending,
      // Ever: those under way, and those that came to something.
      sent: batch.action === 'replay' ? in_flight + resolved + failed : 0,
      in_flight,
      resolved,
      discarded,
      failed,
      skipped,
    },
    starts_at: batch.starts_at.toISOString(),
    created_at: batch.created_at.toISOString(),
    updated_at: batch.updated_at.toISOString(),
    finished_at: batch.finished_at?.toISOString() ?? null,
  };
}

/** A page, newest first. */
export async function listBatches(
  pool: Pool,
  scope: Scope,
  page: { limit: number; cursor: string | undefined },
) {
  const before = decodePageCursor(page.cursor, z.tuple([z.uuid()]))?.[0];
  const rows = await inScope(pool, scope, async (client) => {
    const found = await client.query<BatchRow>({
      name: 'dead_letters_batches',
      text: `SELECT ${batchColumns} FROM dead_letters.batch b
              WHERE ($1::uuid IS NULL OR b.id < $1) AND ($2::uuid IS NULL OR b.tenant_id = $2)
              ORDER BY b.id DESC LIMIT $3`,
      values: [before ?? null, scope.tenant_id, page.limit + 1],
    });
    return found.rows;
  });
  const data = rows.slice(0, page.limit);
  const last = rows.length > page.limit ? data.at(-1) : undefined;
  return { data: data.map(batchView), next_cursor: last === undefined ? null : encodePageCursor([last.id]) };
}

export type Unlucky = { letter_id: string; state: string; detail: string | null };

const unluckyShown = 50;

/** The batch, with some of the letters that failed or were passed over; undefined also for another tenant's. */
export async function findBatch(
  pool: Pool,
  scope: Scope,
  id: string,
): Promise<{ batch: BatchRow; unlucky: Unlucky[] } | undefined> {
  return inScope(pool, scope, async (client) => {
    const batch = await readBatch(client, id, '');
    if (batch === undefined) return undefined;
    const { rows } = await client.query<Unlucky>({
      name: 'dead_letters_batch_unlucky',
      text: `SELECT letter_id, state, detail FROM dead_letters.batch_item
              WHERE batch_id = $1 AND state IN ('failed', 'skipped') ORDER BY n LIMIT ${unluckyShown}`,
      values: [id],
    });
    return { batch, unlucky: rows };
  });
}

type ReadBatch = BatchRow & { is_before_start: boolean };

async function readBatch(
  client: Client,
  id: string,
  lock: '' | 'FOR UPDATE',
): Promise<ReadBatch | undefined> {
  const { rows } = await client.query<ReadBatch>(
    `SELECT ${batchColumns}, b.starts_at > clock_timestamp() AS is_before_start FROM dead_letters.batch b WHERE b.id = $1 ${lock}`,
    [id],
  );
  return rows[0];
}

type Command = 'pause' | 'resume' | 'cancel';

const verbs: Record<Command, Verb> = { pause: 'batch_pause', resume: 'batch_resume', cancel: 'batch_cancel' };
const from: Record<Command, readonly BatchState[]> = {
  pause: ['scheduled', 'running'],
  resume: ['paused', 'stopped'],
  cancel: ['scheduled', 'running', 'paused', 'stopped'],
};

/**
 * Changes the batch's course under its lock, which the runner holds while it sends: once this has answered, a paused or
 * cancelled batch sends nothing more. Cancelled before its delay is over, it leaves nothing but the lines of the audit.
 *
 * Throws Problem not_found or conflict.
 */
export async function commandBatch(
  pool: Pool,
  actor: Actor,
  id: string,
  command: Command,
): Promise<BatchRow> {
  return inScope(pool, actor.scope, async (client) => {
    const batch = await readBatch(client, id, 'FOR UPDATE');
    if (batch === undefined) throw problem('not_found');
    if (!from[command].includes(batch.state)) {
      throw problem('conflict', `Cannot ${command}: the batch is ${batch.state}.`);
    }
    const { is_before_start: isBeforeStart } = batch;
    const wasUntouched = batch.pending === batch.selected;
    const { tenant_id } = batch;
    const leavesTrace = command !== 'cancel' || !isBeforeStart || !wasUntouched;
    const detail = leavesTrace
      ? {}
      : { reason: batch.reason, action: batch.action, selected: batch.selected };
    await recordActions(client, actor, [{ verb: verbs[command], batch_id: id, tenant_id, detail }]);
    if (!leavesTrace) {
      // With its items, of which there may be a million.
      await client.query('SET LOCAL statement_timeout = 120000');
      await client.query('DELETE FROM dead_letters.batch WHERE id = $1', [id]);
      await forgetAnswer(client, batch);
      return { ...batch, state: 'cancelled' };
    }
    const state = stateAfter(command, isBeforeStart);
    const { rows } = await client.query<BatchRow>(
      `UPDATE dead_letters.batch b
          SET state = $2, state_reason = NULL, updated_at = clock_timestamp(),
              forgiven = CASE WHEN $3 THEN b.failed ELSE b.forgiven END,
              finished_at = CASE WHEN $2 = 'cancelled' THEN clock_timestamp() END
        WHERE b.id = $1 RETURNING ${batchColumns}`,
      [id, state, command === 'resume'],
    );
    const [changed] = rows;
    if (changed === undefined) throw problem('not_found');
    return changed;
  });
}

/** Asked for once more with the same Idempotency-Key, it is made anew: the kept answer names a batch that is not there. */
async function forgetAnswer(client: Client, { id, actor_tenant_id, actor_user_id }: BatchRow): Promise<void> {
  // The answer is its maker's; whoever cancels may be somebody else.
  await client.query("SELECT set_config('ragline.tenant_id', $1, true)", [actor_tenant_id]);
  await client.query(
    `DELETE FROM dead_letters.idempotency WHERE tenant_id = $1 AND user_id = $2 AND body->>'id' = $3`,
    [actor_tenant_id, actor_user_id, id],
  );
}

function stateAfter(command: Command, isBeforeStart: boolean): BatchState {
  if (command === 'cancel') return 'cancelled';
  if (command === 'pause') return 'paused';
  return isBeforeStart ? 'scheduled' : 'running';
}
