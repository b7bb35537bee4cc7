/** confirm: asks the customer to approve an order at an exact price. It places none: approvals.ts does, and only then. */
import { inTenant } from '@ragline/postgres/pool';
import { text } from '@ragline/web/fields';
import { z } from 'zod';
import { findApproval, insertApproval } from '../approval-store.ts';
import { effectOnce, hashOf } from '../ledger.ts';
import { asked, items, promoCode, shown, shownQuote } from '../shapes.ts';
import { defineTool, ToolError } from '../tool.ts';

/** How often a turn may come back to the same basket. */
const askedAgainMax = 5;

const needed = z.object({
  approval_id: z.string(),
  quote: shownQuote.extend({ notes: z.string().nullable() }),
});

export default defineTool({
  name: 'confirm',
  description:
    'Puts an order before the customer with its exact price, and asks for approval. The order is placed only when the customer approves it there; nothing that is said in the conversation does that. Call it when the customer wants to order, with everything in one call.',
  input: z.strictObject({
    items,
    promo_code: promoCode,
    notes: text(1_000).optional().meta({ description: 'A wish for the whole order.' }),
  }),
  output: needed.extend({ status: z.literal('approval_required') }),
  roles: ['customer'],
  effect: 'write',
  timeoutMs: 10_000,

  async run({ items: lines, promo_code, notes }, context) {
    const { tenant_id, user_id, conversation_id, turn_id, generation, signal, parts } = context;
    const { failpoint = () => {} } = parts;
    await failpoint('confirm.begin');
    const basket = { items: lines, ...(promo_code === undefined ? {} : { promo_code }) };
    const quote = await asked(parts.orders.quote({ tenant_id, user_id, signal }, basket));
    await failpoint('confirm.quoted');
    if (quote.refused.length > 0) {
      throw new ToolError(
        'promotion_refused',
        'The promotion does not apply. Tell the customer why and the price without it, and ask whether to order so; then call again without promo_code.',
        { refused: quote.refused, quote: shown(quote) },
      );
    }
    // The turn may run again after a crash and ask for the same: then it is the same question, at its first price.
    const args = hashOf([
      lines.map((it) => [it.product_id, it.quantity, it.notes ?? null]),
      promo_code,
      notes,
    ]);
    const caller = { tenant_id, conversation_id, turn_id, generation };
    const effect = {
      caller,
      tool: 'confirm',
      effect: 'approval.ask',
      args_hash: args,
      idempotency_key: null,
    };
    const terms = { tenant_id, user_id, conversation_id, turn_id, quote, notes: notes ?? null };
    const asking = await inTenant(parts.pool, tenant_id, async (client) => {
      await failpoint('confirm.open');
      const ask = async () => {
        await failpoint('confirm.claimed');
        return insertApproval(client, terms);
      };
      // Asked for something else in between, it is a new question; each has a key of its own.
      for (let again = 0; again < askedAgainMax; again++) {
        const call_key = `confirm:${turn_id}:${args}:${again}`;
        const asked = await effectOnce(client, { ...effect, call_key }, ask);
        if (asked.kind === 'blocked') break;
        const approval = needed.parse(asked.result);
        const found = await findApproval(client, tenant_id, approval.approval_id);
        if (found?.reason === 'replaced') continue;
        await failpoint('confirm.commit');
        return approval;
      }
      throw new ToolError(
        'conflict',
        'This was asked too often in one turn; ask the customer what is wanted.',
      );
    });
    await failpoint('confirm.committed');
    context.needApproval(asking);
    return { status: 'approval_required' as const, ...asking };
  },

  summary: () => 'waits for approval',
});
