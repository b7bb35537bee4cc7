/** What a decision about a quote brings with it, in words of our own: no model has a part in it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecuteApproval, Executed } from '../tools/approvals.ts';
import { OrdersError } from '../tools/orders-error.ts';
import type { ToolCaller } from '../tools/tool.ts';
import { recordOf } from './answer.ts';
import type { Draft } from './draft.ts';
import type { TurnStream } from './events.ts';
import type { Failpoint } from './failpoint.ts';
import { orCut } from './running.ts';

export type ApprovalParts = { execute: ExecuteApproval; failpoint: Failpoint };

const againMs = [500, 1_000, 2_000, 4_000, 8_000];
const tool = 'confirm';

/**
 * Carries the decision out and says how that went. Safe to call again: the ledger knows what was done.
 * Throws OrdersError with the code `orders_unavailable` when there is no answer to be had for a while.
 */
export async function carryOut(
  { execute, failpoint }: ApprovalParts,
  { approval_id, caller }: { approval_id: string; caller: Omit<ToolCaller, 'signal'> },
  draft: Draft,
  stream: TurnStream,
  signal: AbortSignal,
): Promise<void> {
  draft.approval_id = approval_id;
  stream.event({ event_type: 'tool_started', tool, call_id: approval_id });
  const startedAt = performance.now();
  const executed = await orCut(signal, tryFor(execute, approval_id, { ...caller, signal }));
  await failpoint('approved');
  stream.event({
    event_type: 'tool_finished',
    tool,
    call_id: approval_id,
    ok: executed.kind === 'ordered' || executed.kind === 'rejected',
    summary: 'code' in executed ? executed.code : executed.kind,
    duration_ms: Math.round(performance.now() - startedAt),
  });
  if (executed.kind === 'refused' && executed.approval !== undefined) {
    draft.approval_id = executed.approval.approval_id;
    stream.event({
      event_type: 'approval_required',
      approval_id: executed.approval.approval_id,
      quote: recordOf(executed.approval.quote),
    });
  }
  draft.content = wordsFor(executed);
  stream.text(draft.content);
}

async function tryFor(execute: ExecuteApproval, approvalId: string, caller: ToolCaller): Promise<Executed> {
  for (const waitMs of againMs) {
    try {
      return await execute(approvalId, caller);
    } catch (error) {
      if (!(error instanceof OrdersError) || !error.retriable) throw error;
      await delay(waitMs, undefined, { signal: caller.signal });
    }
  }
  try {
    return await execute(approvalId, caller);
  } catch (error) {
    if (!(error instanceof OrdersError) || !error.retriable) throw error;
    throw new OrdersError('orders_unavailable', 'The orders service does not answer', { cause: error });
  }
}

function wordsFor(executed: Executed): string {
  switch (executed.kind) {
    case 'ordered': {
      const { id, total, currency } = executed.order;
      if (executed.earlier) {
        return `Your earlier order had gone through after all: number ${id}, ${amount(total, currency)} in all. I did not place a second one.`;
      }
      return `Your order is placed: number ${id}, ${amount(total, currency)} in all.`;
    }
    case 'rejected':
      return 'All right, I have ordered nothing.';
    case 'refused':
      return executed.approval === undefined
        ? `Nothing was ordered: ${executed.detail}`
        : 'The price has changed, so nothing was ordered yet. Please look at the new quote and approve it if it suits you.';
    case 'blocked':
      return 'I could not find out whether the order was placed, and I will not try again by myself. Please look at your orders.';
  }
}

function amount(minorUnits: number, currency: string): string {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency });
  return format.format(minorUnits / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}
