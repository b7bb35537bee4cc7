/** SQL of approvals. Every function runs in a transaction of the tenant. */
import { randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { hashOf, resendHours } from './ledger.ts';
import type { Quote } from './orders-client.ts';

export type ApprovalState = 'pending' | 'approved' | 'rejected' | 'used' | 'expired' | 'failed';

/** What the customer sees and approves: everything that will be in the order. The token stays here. */
export type ShownQuote = Omit<Quote, 'quote_token' | 'refused'> & { notes: string | null };

export type Approval = {
  id: string;
  tenant_id: string;
  user_id: string;
  conversation_id: string;
  turn_id: string;
  replaces: string | null;
  quote: ShownQuote;
  quote_token: string;
  quote_hash: string;
  /** The body of POST /v1/orders. */
  order_request: string;
  idempotency_key: string;
  state: ApprovalState;
  reason: string | null;
  decided_at: Date | null;
  decision_turn_id: string | null;
  decision_message_id: string | null;
  order_id: string | null;
  expires_at: Date;
  /** By the clock of the database, as everything that compares times here. */
  is_late: boolean;
};

const columns = `id, tenant_id, user_id, conversation_id, turn_id, replaces, quote, quote_token, quote_hash, order_request,
  idempotency_key, state, reason, decided_at, decision_turn_id, decision_message_id, order_id, expires_at,
  expires_at <= clock_timestamp() AS is_late`;

/** The approval, which the transaction then holds; undefined when the tenant has none of this id. */
export async function lockApproval(
  client: Client,
  tenantId: string,
  id: string,
): Promise<Approval | undefined> {
  const { rows } = await client.query<Approval>({
    name: 'chat_lock_approval',
    text: `SELECT ${columns} FROM chat.approval WHERE tenant_id = $1 AND id = $2 FOR UPDATE`,
    values: [tenantId, id],
  });
  return rows[0];
}

/** The approval without holding it. */
export async function findApproval(
  client: Client,
  tenantId: string,
  id: string,
): Promise<Approval | undefined> {
  const { rows } = await client.query<Approval>({
    name: 'chat_find_approval',
    text: `SELECT ${columns} FROM chat.approval WHERE tenant_id = $1 AND id = $2`,
    values: [tenantId, id],
  });
  return rows[0];
}

export type NewApproval = {
  tenant_id: string;
  user_id: string;
  conversation_id: string;
  turn_id: string;
  quote: Quote;
  notes: string | null;
  /** The approval whose price no longer held. */
  replaces?: Earlier;
};

type Earlier = Pick<Approval, 'id' | 'idempotency_key'>;

/**
 * How long before its quote an approval ends: the order that it leads to still has to arrive while the quote holds.
 */
const marginMs = 60_000;

/**
 * Asks anew: an approval of this conversation that still waits makes room, and can no longer be decided. One that was
 * approved, and of whose order nobody knows (the orders service did not answer), is replaced under its own key: whatever
 * became of it, the two are one order.
 */
export async function insertApproval(client: Client, it: NewApproval): Promise<NeededApproval> {
  await client.query(
    `UPDATE chat.approval SET state = 'expired', reason = 'replaced'
      WHERE tenant_id = $1 AND conversation_id = $2 AND state = 'pending'`,
    [it.tenant_id, it.conversation_id],
  );
  const replaces = it.replaces ?? (await findUnsettled(client, it));
  const { quote_token, refused: _, ...quote } = it.quote;
  const expiresAt = new Date(Date.parse(quote.expires_at) - marginMs).toISOString();
  const shown: ShownQuote = { ...quote, expires_at: expiresAt, notes: it.notes };
  const id = randomUUIDv7();
  const orderRequest = requestOf(it.quote, it.notes);
  await client.query(
    `INSERT INTO chat.approval (id, tenant_id, user_id, conversation_id, turn_id, replaces, quote, quote_token, quote_hash,
       order_request, idempotency_key, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    [
      id,
      it.tenant_id,
      it.user_id,
      it.conversation_id,
      it.turn_id,
      replaces?.id ?? null,
      JSON.stringify(shown),
      quote_token,
      quoteHash(shown, quote_token, orderRequest),
      orderRequest,
      replaces?.idempotency_key ?? `chat-approval-${id}`,
      expiresAt,
    ],
  );
  return { approval_id: id, quote: shown };
}

/**
 * The last approval of the conversation that was decided, while its request may have been placed or may still be: one
 * without an outcome, or one that was refused while an earlier try of it may be under way (its quote holds for minutes).
 * Not when the key is so old that the orders service may forget it before the new one has come to its end.
 */
async function findUnsettled(
  client: Client,
  { tenant_id, conversation_id }: Pick<NewApproval, 'tenant_id' | 'conversation_id'>,
): Promise<Earlier | undefined> {
  const { rows } = await client.query<Earlier>(
    `SELECT id, idempotency_key FROM (
       SELECT id, idempotency_key, state, reason, created_at FROM chat.approval
        WHERE tenant_id = $1 AND conversation_id = $2 AND state IN ('approved', 'used', 'failed')
        ORDER BY id DESC LIMIT 1
     ) latest
     WHERE (state = 'approved' OR state = 'failed' AND reason <> 'idempotency_key_reused'
              AND created_at > clock_timestamp() - interval '1 hour')
       AND NOT EXISTS (SELECT FROM chat.tool_call call
                        WHERE call.tenant_id = $1 AND call.idempotency_key = latest.idempotency_key
                          AND call.claimed_at < clock_timestamp() - make_interval(hours => $3))`,
    [tenant_id, conversation_id, resendHours - 1],
  );
  return rows[0];
}

export type NeededApproval = { approval_id: string; quote: ShownQuote };

/** What was approved is what is placed: anything else in the row would have another hash. */
export function quoteHash(quote: ShownQuote, quoteToken: string, orderRequest: string): string {
  const { items, currency, subtotal, discount, total, promo_code, expires_at, notes } = quote;
  const lines = items.map((it) => [
    it.product_id,
    it.name,
    it.quantity,
    it.unit_price,
    it.line_total,
    it.notes,
  ]);
  return hashOf([
    lines,
    currency,
    subtotal,
    discount,
    total,
    promo_code,
    expires_at,
    notes,
    quoteToken,
    orderRequest,
  ]);
}

/** A promotion that was refused is left out: its price is not in the quote, and the order would be refused. */
function requestOf(quote: Quote, notes: string | null): string {
  const items = quote.items.map((it) => ({
    product_id: it.product_id,
    quantity: it.quantity,
    notes: it.notes,
  }));
  return JSON.stringify({ items, promo_code: quote.promo_code, notes, quote_token: quote.quote_token });
}
