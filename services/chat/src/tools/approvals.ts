/**
 * Carrying out what a customer decided: the order is placed once, whoever runs the turn and however often.
 *
 *   claim (committed) ─ POST /v1/orders under the approval's key ─ settle: ledger, approval, perhaps a new approval
 *
 * A crash after the claim sends the same bytes under the same key again, and the orders service answers with the order
 * that there is. See docs/decisions/0120.
 */
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import { z } from 'zod';
import {
  type Approval,
  findApproval,
  insertApproval,
  lockApproval,
  type NeededApproval,
  quoteHash,
} from './approval-store.ts';
import { claimEffect, type Effect, findResult, settleEffect, settleOther } from './ledger.ts';
import { type Order, type OrdersClient, type Quote, quoteShape } from './orders-client.ts';
import { OrdersError } from './orders-error.ts';
import type { ToolCaller } from './tool.ts';

export type Executed =
  /** `earlier`: it is an order that was approved before and whose answer never came; this one was not placed besides. */
  | { kind: 'ordered'; order: Order; earlier?: true }
  /** Nothing was placed; `approval` is a new one, when the price is another and the customer may approve that. */
  | { kind: 'refused'; code: string; detail: string; approval?: NeededApproval }
  | { kind: 'rejected' }
  /** It cannot be known any more whether it was placed, and it is not tried again. */
  | { kind: 'blocked'; code: string };

export type ExecutionParts = {
  pool: Pool;
  orders: Pick<OrdersClient, 'place'>;
  /** Called by name before and after each step; for tests, which end the worker there. */
  failpoint?: ((name: string) => Promise<void> | void) | undefined;
};

type Plan =
  | { kind: 'place'; approval: Approval; effect: Effect; predecessors: Approval[] }
  | { kind: 'known'; result: Executed };

export type ExecuteApproval = (approvalId: string, caller: ToolCaller) => Promise<Executed>;

/**
 * The function that a turn of kind `approval` calls. It may be called again, and by several workers at a time.
 *
 * Throws OrdersError (`retriable`) when the orders service does not answer: the same call again goes on from there.
 * Throws CutError when a younger worker has the turn.
 */
export function approvalExecution(parts: ExecutionParts): ExecuteApproval {
  const { pool, orders, failpoint = () => {} } = parts;

  return async function executeApproval(approvalId, caller) {
    await failpoint('execute.begin');
    const plan = await inTenant(pool, caller.tenant_id, async (client) => {
      await failpoint('claim.begin');
      const made = await planOf(client, approvalId, caller);
      await failpoint('claim.commit');
      return made;
    });
    await failpoint('claim.committed');
    if (plan.kind === 'known') return plan.result;
    const outcome = await place(plan, caller);
    await failpoint('order.answered');
    const result = await inTenant(pool, caller.tenant_id, (client) => settle(client, plan, caller, outcome));
    await failpoint('settle.committed');
    return result;
  };

  async function planOf(client: Client, approvalId: string, caller: ToolCaller): Promise<Plan> {
    const approval = await lockApproval(client, caller.tenant_id, approvalId);
    await failpoint('claim.locked');
    if (approval?.user_id !== caller.user_id || approval.conversation_id !== caller.conversation_id) {
      return refusal('not_found', 'There is no such approval.');
    }
    const effect = effectOf(approval, caller);
    switch (approval.state) {
      case 'rejected':
        return { kind: 'known', result: { kind: 'rejected' } };
      case 'pending':
        // Only a decision leads here, so this is a caller that has none.
        return refusal('not_approved', 'The customer has not approved this.');
      case 'expired':
        return refusal('expired', 'The offer has expired.');
      case 'used':
      case 'failed': {
        const found = await findResult(client, effect);
        if (found === undefined) return refusal(approval.reason ?? 'failed', 'This offer is over.');
        return known(found);
      }
      case 'approved':
    }
    const { quote, quote_token, order_request } = approval;
    if (quoteHash(quote, quote_token, order_request) !== approval.quote_hash) {
      return refusal('quote_changed', 'What was approved is not what is stored.');
    }
    const claim = await claimEffect(client, effect);
    await failpoint('claim.claimed');
    if (claim.kind === 'claimed') {
      return { kind: 'place', approval, effect, predecessors: await predecessorsOf(client, approval) };
    }
    const plan = known(claim);
    if (claim.kind === 'blocked') await conclude(client, approval, plan.result);
    return plan;
  }

  async function place(plan: Extract<Plan, { kind: 'place' }>, caller: ToolCaller): Promise<Outcome> {
    const { approval } = plan;
    try {
      await failpoint('order.send');
      const order = await orders.place(caller, approval.order_request, approval.idempotency_key);
      return { kind: 'ordered', order, of: approval };
    } catch (error) {
      // Trying again is the turn's, which knows how long its reader waits.
      if (!(error instanceof OrdersError) || error.retriable) throw error;
      return error.code === 'idempotency_key_reused'
        ? earlierOrder(plan, caller)
        : { kind: 'refused', error };
    }
  }

  /**
   * The key has placed another request already: that of the approval which this one replaced, whose answer came late.
   * Then that is the order, and this one is not placed.
   */
  async function earlierOrder(
    { predecessors, approval }: Extract<Plan, { kind: 'place' }>,
    caller: ToolCaller,
  ): Promise<Outcome> {
    for (const earlier of predecessors) {
      try {
        await failpoint('order.earlier');
        const order = await orders.place(caller, earlier.order_request, approval.idempotency_key);
        return { kind: 'ordered', order, of: earlier };
      } catch (error) {
        if (!(error instanceof OrdersError) || error.code !== 'idempotency_key_reused') throw error;
      }
    }
    return { kind: 'blocked', code: 'idempotency_key_reused' };
  }

  async function settle(
    client: Client,
    { approval, effect, predecessors }: Extract<Plan, { kind: 'place' }>,
    caller: ToolCaller,
    outcome: Outcome,
  ): Promise<Executed> {
    await failpoint('settle.begin');
    // The same order of locks as the claim's.
    await lockApproval(client, caller.tenant_id, approval.id);
    await failpoint('settle.locked');
    const settled = await settleEffect(client, effect, () => resultOf(client, approval, caller, outcome));
    await failpoint('settle.settled');
    if (settled.kind === 'done') return executedFrom(settled.result);
    await conclude(client, approval, settled.result);
    if (outcome.kind !== 'refused') await closeEarlier(client, predecessors, outcome);
    await failpoint('settle.commit');
    return settled.result;
  }

  async function resultOf(
    client: Client,
    approval: Approval,
    caller: ToolCaller,
    outcome: Outcome,
  ): Promise<Executed> {
    if (outcome.kind === 'blocked') return outcome;
    if (outcome.kind === 'ordered') {
      const { order, of } = outcome;
      return of.id === approval.id ? { kind: 'ordered', order } : { kind: 'ordered', order, earlier: true };
    }
    const { code, message: detail, members } = outcome.error;
    const quote = code === 'price_changed' ? quoteFrom(members.quote) : undefined;
    if (quote === undefined) return { kind: 'refused', code, detail };
    const needed = await insertApproval(client, {
      tenant_id: caller.tenant_id,
      user_id: caller.user_id,
      conversation_id: caller.conversation_id,
      turn_id: caller.turn_id,
      quote,
      notes: approval.quote.notes,
      replaces: approval,
    });
    await failpoint('settle.replaced');
    return { kind: 'refused', code, detail, approval: needed };
  }
}

type Outcome =
  /** `of`: which approval the order is of, this one or one that it replaces. */
  | { kind: 'ordered'; order: Order; of: Approval }
  | { kind: 'refused'; error: OrdersError }
  | { kind: 'blocked'; code: string };

/** The key has had its one order, or cannot be used any more: nothing that shares it is placed from now on. */
async function closeEarlier(
  client: Client,
  predecessors: readonly Approval[],
  outcome: Exclude<Outcome, { kind: 'refused' }>,
): Promise<void> {
  for (const { tenant_id, id } of predecessors) {
    const earlier = await lockApproval(client, tenant_id, id);
    if (earlier?.state !== 'approved') continue;
    const result: Executed =
      outcome.kind === 'ordered' && outcome.of.id === id
        ? { kind: 'ordered', order: outcome.order }
        : { kind: 'refused', code: 'replaced', detail: 'A newer order has taken the place of this one.' };
    await settleOther(client, earlier.tenant_id, callKeyOf(earlier), result);
    await conclude(client, earlier, result);
  }
}

/** What became of what was approved. */
async function conclude(client: Client, { tenant_id, id }: Approval, result: Executed): Promise<void> {
  const orderId = result.kind === 'ordered' ? result.order.id : null;
  const reason = 'code' in result ? result.code : null;
  await client.query(
    'UPDATE chat.approval SET state = $3, order_id = $4, reason = $5 WHERE tenant_id = $1 AND id = $2',
    [tenant_id, id, orderId === null ? 'failed' : 'used', orderId, reason],
  );
}

const callKeyOf = ({ id }: Approval) => `approval:${id}`;

function effectOf(approval: Approval, caller: ToolCaller): Effect {
  return {
    caller,
    call_key: callKeyOf(approval),
    tool: 'confirm',
    effect: 'orders.place',
    args_hash: approval.quote_hash,
    idempotency_key: approval.idempotency_key,
  };
}

const predecessorsMax = 10;

/** The approvals that this one replaced, the latest first. */
async function predecessorsOf(client: Client, approval: Approval): Promise<Approval[]> {
  const found: Approval[] = [];
  let id = approval.replaces;
  while (id !== null && found.length < predecessorsMax) {
    const earlier = await findApproval(client, approval.tenant_id, id);
    if (earlier === undefined) break;
    found.push(earlier);
    id = earlier.replaces;
  }
  return found;
}

function refusal(code: string, detail: string): Plan {
  return { kind: 'known', result: { kind: 'refused', code, detail } };
}

function known(claim: { kind: 'done'; result: unknown } | { kind: 'blocked'; reason: string }) {
  const result: Executed =
    claim.kind === 'done' ? executedFrom(claim.result) : { kind: 'blocked', code: claim.reason };
  return { kind: 'known', result } as const;
}

const resultShape = z.custom<Executed>(
  (value) => typeof value === 'object' && value !== null && 'kind' in value,
);
const executedFrom = (result: unknown): Executed => resultShape.parse(result);

function quoteFrom(value: unknown): Quote | undefined {
  const read = quoteShape.safeParse(value);
  return read.success ? read.data : undefined;
}
