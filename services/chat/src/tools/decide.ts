/** A customer's word on an approval: taken once, carried out by a turn of its own. */
import type { Client, Pool } from '@ragline/postgres/pool';
import { inTenant } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import { type Approval, lockApproval } from './approval-store.ts';

export const decisions = ['approve', 'reject'] as const;
export type Decision = (typeof decisions)[number];

/**
 * Makes the turn that carries the decision out, in the decision's transaction. Asked again, gives the same turn, which
 * runs again where it had failed for want of an answer.
 */
export type RequestApproval = (
  client: Client,
  request: Who & { conversation_id: string; approval_id: string },
) => Promise<{ turn_id: string; message_id: string }>;

type Who = { tenant_id: string; user_id: string; roles: readonly string[] };

export type Deciding = {
  who: Who;
  conversation_id: string;
  approval_id: string;
  decision: Decision;
};

export type Decided = {
  approval_id: string;
  decision: Decision;
  decided_at: string;
  turn_id: string;
  /** The message that will say what came of it. */
  message_id: string;
};

type Verdict =
  | { kind: 'decided'; answer: Decided }
  | { kind: 'other_decision' }
  | { kind: 'over'; why: string };

/**
 * Decides an approval. The same decision again gives the same answer.
 *
 * Throws problems: `not_found` (also for another user's), `already_handled` for the other decision, `conflict` when it
 * has expired or another one has taken its place.
 */
export async function decideApproval(
  { pool, requestApproval }: { pool: Pool; requestApproval: RequestApproval },
  deciding: Deciding,
): Promise<Decided> {
  const { who, approval_id, conversation_id } = deciding;
  const ask = (client: Client) => requestApproval(client, { ...who, conversation_id, approval_id });
  // What is thrown would roll back that the approval has expired: so the verdict comes out of the transaction first.
  const verdict = await inTenant(pool, who.tenant_id, async (client): Promise<Verdict | undefined> => {
    const approval = await lockApproval(client, who.tenant_id, approval_id);
    if (approval?.user_id !== who.user_id || approval.conversation_id !== conversation_id) return undefined;
    if (approval.state !== 'pending') {
      const earlier = earlierVerdict(approval, deciding.decision);
      // Its turn may have given up because the orders service was away: saying it again tries it again.
      if (approval.state === 'approved' && earlier.kind === 'decided') await ask(client);
      return earlier;
    }
    if (approval.is_late) {
      await client.query(
        "UPDATE chat.approval SET state = 'expired', reason = 'too_late' WHERE tenant_id = $1 AND id = $2",
        [who.tenant_id, approval_id],
      );
      return { kind: 'over', why: reasons.too_late };
    }
    const turn = await ask(client);
    const { rows } = await client.query<{ decided_at: Date }>(
      `UPDATE chat.approval SET state = $3, decided_at = clock_timestamp(), decision_turn_id = $4, decision_message_id = $5
        WHERE tenant_id = $1 AND id = $2 RETURNING decided_at`,
      [
        who.tenant_id,
        approval_id,
        deciding.decision === 'approve' ? 'approved' : 'rejected',
        turn.turn_id,
        turn.message_id,
      ],
    );
    return {
      kind: 'decided',
      answer: {
        approval_id,
        decision: deciding.decision,
        decided_at: rows[0]?.decided_at.toISOString() ?? new Date().toISOString(),
        turn_id: turn.turn_id,
        message_id: turn.message_id,
      },
    };
  });
  switch (verdict?.kind) {
    case undefined:
      throw problem('not_found');
    case 'decided':
      return verdict.answer;
    case 'other_decision':
      throw problem('already_handled', 'This order was decided otherwise before.');
    case 'over':
      throw problem('conflict', verdict.why);
  }
}

const reasons = {
  too_late: 'This offer has expired; ask for it again.',
  replaced: 'A newer offer has taken the place of this one.',
};

function earlierVerdict(approval: Approval, decision: Decision): Verdict {
  const { state, reason, decided_at, decision_turn_id, decision_message_id } = approval;
  if (decided_at === null || decision_turn_id === null || decision_message_id === null) {
    return { kind: 'over', why: reason === 'replaced' ? reasons.replaced : reasons.too_late };
  }
  // Used and failed are what became of an approval.
  const earlier: Decision = state === 'rejected' ? 'reject' : 'approve';
  if (earlier !== decision) return { kind: 'other_decision' };
  return {
    kind: 'decided',
    answer: {
      approval_id: approval.id,
      decision,
      decided_at: decided_at.toISOString(),
      turn_id: decision_turn_id,
      message_id: decision_message_id,
    },
  };
}
