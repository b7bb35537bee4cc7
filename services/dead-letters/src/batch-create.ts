/** Selections of batches: counted for a dry run, or frozen as the batch's items. */
import { randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import { type Actor, recordActions } from './audit.ts';
import { type BatchRow, batchColumns } from './batch-store.ts';
import { type FilterQuery, filterFrom, type Params, params, whereOf } from './letter-filter.ts';
import type { Scope } from './scope.ts';

export type BatchRequest = {
  filter?: FilterQuery | undefined;
  ids?: string[] | undefined;
  action: 'replay' | 'discard';
  reason: string;
  rate_per_s?: number | undefined;
  ramp?: number[] | undefined;
  in_flight: number;
  stop_on_failures?: number | undefined;
  delay_s: number;
};

export const itemsMax = 1_000_000;
// The gateway waits for 30 s: whoever asked must hear the batch's name, or that there is none.
const freezeWithinMs = 25_000;

/** Freezes the selection: what waits now, oldest first. In the caller's transaction and scope. */
export async function createBatch(client: Client, actor: Actor, request: BatchRequest): Promise<BatchRow> {
  const { action, reason, rate_per_s, ramp = [], in_flight, stop_on_failures, delay_s } = request;
  const { scope } = actor;
  const id = randomUUIDv7();
  await client.query(`SET LOCAL statement_timeout = ${freezeWithinMs}`);
  await client.query({
    name: 'dead_letters_create_batch',
    text: `INSERT INTO dead_letters.batch (id, tenant_id, actor_user_id, actor_tenant_id, action, reason, selection, state,
             rate_per_s, ramp, in_flight_max, stop_on_failures, starts_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, 'scheduled', $8, $9, $10, $11, 'infinity')`,
    values: [
      id,
      scope.tenant_id,
      actor.user_id,
      actor.tenant_id,
      action,
      reason,
      JSON.stringify(selectionOf(request)),
      rate_per_s ?? null,
      ramp,
      in_flight,
      stop_on_failures ?? null,
    ],
  });
  const use = params();
  const where = `${selectionWhere(request, scope, use)} AND l.state = 'waiting'`;
  const frozen = await client
    .query({
      text: `INSERT INTO dead_letters.batch_item (batch_id, n, tenant_id, letter_id)
             SELECT ${use.add(id)}::uuid, row_number() OVER (ORDER BY l.id), ${use.add(scope.tenant_id)}::uuid, l.id
               FROM dead_letters.letter l WHERE ${where} ORDER BY l.id LIMIT ${itemsMax + 1}`,
      values: use.values,
    })
    .catch((error: unknown) => {
      if (!isTimedOut(error)) throw error;
      const message = `selects more letters than can be frozen within ${freezeWithinMs / 1_000} s`;
      throw problem('invalid', undefined, { errors: [{ path: 'filter', message }] });
    });
  const selected = frozen.rowCount ?? 0;
  if (selected > itemsMax) {
    const errors = [{ path: 'filter', message: `selects more than ${itemsMax} letters` }];
    throw problem('invalid', undefined, { errors });
  }
  const { rows } = await client.query<BatchRow>(
    // From now on: freezing a million letters takes a while, in which nobody could have cancelled it.
    `UPDATE dead_letters.batch b
        SET selected = $2, pending = $2, starts_at = clock_timestamp() + $3 * interval '1 second'
      WHERE b.id = $1 RETURNING ${batchColumns}`,
    [id, selected, delay_s],
  );
  const [batch] = rows;
  if (batch === undefined) throw new Error('A batch that was just made is not there');
  const detail = { action, reason, selected, selection: selectionOf(request) };
  await recordActions(client, actor, [
    { verb: 'batch_create', batch_id: id, tenant_id: scope.tenant_id, detail },
  ]);
  return batch;
}

function isTimedOut(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014';
}

function selectionOf({ filter, ids }: Pick<BatchRequest, 'filter' | 'ids'>): Record<string, unknown> {
  return filter === undefined ? { ids: ids?.length ?? 0 } : { filter };
}

function selectionWhere(
  { filter, ids }: Pick<BatchRequest, 'filter' | 'ids'>,
  scope: Scope,
  use: Params,
): string {
  if (filter !== undefined) return whereOf(filterFrom(filter), scope, use);
  const own = scope.tenant_id === null ? '' : ` AND l.tenant_id = ${use.add(scope.tenant_id)}::uuid`;
  return `l.id = ANY (${use.add(ids ?? [])}::uuid[])${own}`;
}

export type DryRun = {
  counts: {
    /** Letters that fit. */
    total: number;
    /** Of these, what the batch would act on. */
    selected: number;
    by_group: Record<string, number>;
    by_state: Record<string, number>;
    /** Why some would be passed over, and how many. */
    skipped: Record<string, number>;
  };
};

type CountRow = { group_id: string; state: string; is_own: boolean; letters: number };

/** What the batch would do; stores nothing. */
export async function dryRun(
  client: Client,
  scope: Scope,
  request: Pick<BatchRequest, 'filter' | 'ids' | 'action'>,
  foreignReplayTopics: ReadonlyMap<string, string>,
): Promise<DryRun> {
  await client.query(`SET LOCAL statement_timeout = ${freezeWithinMs}`);
  const use = params();
  const { rows } = await client.query<CountRow>({
    text: `SELECT l.group_id, l.state, l.parked_record IS NOT NULL OR l.source = 'ragline' AS is_own, count(*) AS letters
             FROM dead_letters.letter l WHERE ${selectionWhere(request, scope, use)} GROUP BY 1, 2, 3`,
    values: use.values,
  });
  const total = rows.reduce((sum, { letters }) => sum + letters, 0);
  const skipped = new Map<string, number>();
  const skip = (why: string, letters: number) => skipped.set(why, (skipped.get(why) ?? 0) + letters);
  for (const { state, group_id, is_own, letters } of rows) {
    if (state !== 'waiting') skip(state, letters);
    else if (request.action === 'replay' && !is_own && !foreignReplayTopics.has(group_id))
      skip('no_replay_topic', letters);
  }
  if (request.ids !== undefined && request.ids.length > total) skip('not_found', request.ids.length - total);
  const passedOver = [...skipped].filter(([why]) => why !== 'not_found');
  return {
    counts: {
      total,
      selected: total - passedOver.reduce((sum, [, letters]) => sum + letters, 0),
      by_group: sumBy(rows, 'group_id'),
      by_state: sumBy(rows, 'state'),
      skipped: Object.fromEntries(skipped),
    },
  };
}

function sumBy(rows: readonly CountRow[], name: 'group_id' | 'state'): Record<string, number> {
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(row[name], (sums.get(row[name]) ?? 0) + row.letters);
  return Object.fromEntries(sums);
}
