/**
 * The ledger: an effect of a tool happens once, however often its turn runs, and whoever runs it.
 *
 *   claim ─┬─ claimed: the caller has the effect, then settles     claimed → done
 *          ├─ done: it happened; here is its result
 *          └─ blocked: nobody can know any more whether it happened; a person has to look
 *
 * An effect in this database is claimed and settled by its own transaction. For one elsewhere the claim commits first,
 * with the idempotency key under which the other service has it: after a crash it is sent again under that key.
 * See docs/decisions/0120.
 */
import { createHash, randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { CutError } from '../domain.ts';
import type { ToolCaller } from './tool.ts';

export type Effect = {
  caller: Pick<ToolCaller, 'tenant_id' | 'conversation_id' | 'turn_id' | 'generation'>;
  /** What makes it the same effect. */
  call_key: string;
  tool: string;
  /** What is done to what, for a person who reads the ledger. */
  effect: string;
  args_hash: string;
  /** Null when the effect is in this database. */
  idempotency_key: string | null;
};

export type Claim =
  | { kind: 'claimed' }
  | { kind: 'done'; result: unknown }
  | { kind: 'blocked'; reason: string };

/**
 * How long a key may be sent again after its first claim: the orders service remembers it for 24 hours, and what it has
 * forgotten would be a new order. The hour between is for clocks and for requests under way.
 */
export const resendHours = 23;

type Row = {
  state: 'claimed' | 'done' | 'blocked';
  generation: number;
  args_hash: string;
  result: unknown;
  is_old: boolean;
};

/** Claims an effect, in the caller's transaction. Throws CutError when a younger worker has it. */
export async function claimEffect(client: Client, effect: Effect): Promise<Claim> {
  const { caller, call_key, tool, args_hash, idempotency_key } = effect;
  const { tenant_id, conversation_id, turn_id, generation } = caller;
  const inserted = await client.query(
    `INSERT INTO chat.tool_call
       (id, tenant_id, conversation_id, turn_id, generation, call_key, tool, effect, args_hash, state, idempotency_key)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'claimed', $10) ON CONFLICT (tenant_id, call_key) DO NOTHING`,
    [
      randomUUIDv7(),
      tenant_id,
      conversation_id,
      turn_id,
      generation,
      call_key,
      tool,
      effect.effect,
      args_hash,
      idempotency_key,
    ],
  );
  const row = await lockedRow(client, effect);
  if (row.state === 'done') return { kind: 'done', result: row.result };
  if (row.state === 'blocked') return { kind: 'blocked', reason: reasonOf(row.result) };
  if (row.generation > generation) throw new CutError('superseded');
  // The key of the effect is taken by other arguments: no guess which of the two was meant.
  if (row.args_hash !== args_hash) return block(client, effect, 'arguments_changed');
  if (row.is_old) return block(client, effect, 'key_too_old');
  if (inserted.rowCount === 0 && row.generation < generation) {
    await client.query(
      'UPDATE chat.tool_call SET generation = $3, turn_id = $4 WHERE tenant_id = $1 AND call_key = $2',
      [tenant_id, call_key, generation, turn_id],
    );
  }
  return { kind: 'claimed' };
}

/**
 * Makes and notes the result of a claimed effect, in the caller's transaction. When another worker has noted one before,
 * gives that one, and none is made. Throws CutError when another worker has the claim and no result yet.
 */
export async function settleEffect<T extends object>(
  client: Client,
  effect: Effect,
  make: () => Promise<T>,
): Promise<{ kind: 'first'; result: T } | { kind: 'done'; result: unknown }> {
  const row = await lockedRow(client, effect);
  if (row.state === 'done') return { kind: 'done', result: row.result };
  if (row.state !== 'claimed' || row.generation !== effect.caller.generation)
    throw new CutError('superseded');
  const result = await make();
  await client.query(
    `UPDATE chat.tool_call SET state = 'done', result = $3, done_at = clock_timestamp()
      WHERE tenant_id = $1 AND call_key = $2`,
    [effect.caller.tenant_id, effect.call_key, JSON.stringify(result)],
  );
  return { kind: 'first', result };
}

/** What became of an effect; undefined while nothing has. Holds nothing. */
export async function findResult(
  client: Client,
  { caller, call_key }: Effect,
): Promise<Exclude<Claim, { kind: 'claimed' }> | undefined> {
  const { rows } = await client.query<Pick<Row, 'state' | 'result'>>(
    'SELECT state, result FROM chat.tool_call WHERE tenant_id = $1 AND call_key = $2',
    [caller.tenant_id, call_key],
  );
  const [row] = rows;
  if (row === undefined || row.state === 'claimed') return undefined;
  return row.state === 'done'
    ? { kind: 'done', result: row.result }
    : { kind: 'blocked', reason: reasonOf(row.result) };
}

/** Notes the result of an effect that another one has settled as well, whoever had claimed it. */
export async function settleOther(
  client: Client,
  tenantId: string,
  callKey: string,
  result: object,
): Promise<void> {
  await client.query(
    `UPDATE chat.tool_call SET state = 'done', result = $3, done_at = clock_timestamp()
      WHERE tenant_id = $1 AND call_key = $2 AND state = 'claimed'`,
    [tenantId, callKey, JSON.stringify(result)],
  );
}

/** An effect in this database: claimed, had and settled in the caller's transaction. */
export async function effectOnce<T extends object>(
  client: Client,
  effect: Effect,
  run: () => Promise<T>,
): Promise<{ kind: 'first'; result: T } | Exclude<Claim, { kind: 'claimed' }>> {
  const claim = await claimEffect(client, effect);
  return claim.kind === 'claimed' ? settleEffect(client, effect, run) : claim;
}

/** SHA-256 of data whose fields come in a fixed order, hexadecimal. */
export function hashOf(data: unknown): string {
  return createHash('sha256').update(JSON.stringify(data)).digest('hex');
}

/** The row, which the transaction then holds. Age counts from the first claim under the same idempotency key. */
async function lockedRow(client: Client, { caller, call_key }: Effect): Promise<Row> {
  const { rows } = await client.query<Row>(
    `SELECT state, generation, args_hash, result,
            idempotency_key IS NOT NULL AND clock_timestamp() - (
              SELECT min(same.claimed_at) FROM chat.tool_call same
               WHERE same.tenant_id = call.tenant_id AND same.idempotency_key = call.idempotency_key
            ) > make_interval(hours => $3) AS is_old
       FROM chat.tool_call call WHERE tenant_id = $1 AND call_key = $2 FOR UPDATE OF call`,
    [caller.tenant_id, call_key, resendHours],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('A claim is gone from the ledger');
  return row;
}

async function block(client: Client, { caller, call_key }: Effect, reason: string): Promise<Claim> {
  await client.query(
    `UPDATE chat.tool_call SET state = 'blocked', result = $3, done_at = clock_timestamp()
      WHERE tenant_id = $1 AND call_key = $2`,
    [caller.tenant_id, call_key, JSON.stringify({ reason })],
  );
  return { kind: 'blocked', reason };
}

function reasonOf(result: unknown): string {
  return typeof result === 'object' && result !== null && 'reason' in result
    ? String(result.reason)
    : 'blocked';
}
