/** apply_promos: what a basket costs with the promotion that takes off most, as the orders service prices it; which run. */
import { z } from 'zod';
import type { Promotion, Quote } from '../orders-client.ts';
import { asked, items, promoCode, refusedPromotions, shown, shownQuote } from '../shapes.ts';
import { defineTool } from '../tool.ts';

/** Of many promotions only the most promising are priced: each costs a request. */
const triedMax = 12;
const toldMax = 20;

export default defineTool({
  name: 'apply_promos',
  description:
    'Prices a basket: tries the promotions that run, and a code of the customer if there is one, and gives the best price with the reasons why others do not apply. Without items it lists the promotions that run. Orders nothing.',
  input: z.strictObject({ items: items.optional(), promo_code: promoCode }),
  output: z.object({
    /** Null when there is nothing to price. */
    quote: shownQuote.nullable(),
    applied: z.string().nullable(),
    running: z.array(
      z.object({
        code: z.string(),
        kind: z.enum(['percent', 'amount']),
        /** Per cent, or minor units. */
        value: z.number(),
        /** What a basket has to be worth, in minor units. */
        minimum: z.number(),
        ends_at: z.string().nullable(),
      }),
    ),
    tried: z.int(),
    refused: refusedPromotions,
  }),
  roles: ['customer'],
  effect: 'read',
  timeoutMs: 10_000,

  async run({ items: lines, promo_code }, { tenant_id, user_id, signal, parts: { orders } }) {
    const who = { tenant_id, user_id, signal };
    const running = await asked(orders.promotions(who));
    const told = running.slice(0, toldMax);
    if (lines === undefined) return { quote: null, applied: null, running: told, tried: 0, refused: [] };
    const plain = await asked(orders.quote(who, { items: lines }));
    const codes = candidates(running, plain.subtotal, promo_code);
    let best = plain;
    const refused: Quote['refused'] = [];
    for (const code of codes) {
      const quote = await asked(orders.quote(who, { items: lines, promo_code: code }));
      refused.push(...quote.refused);
      if (quote.total < best.total) best = quote;
    }
    const applied = best.promo_code;
    return { quote: shown(best), applied, running: told, tried: codes.length, refused };
  },

  summary({ quote, applied, running }) {
    if (quote === null) return running.length === 0 ? 'none runs' : `${running.length} run`;
    return applied === null ? 'no promotion applies' : `${applied} applies`;
  },
});

/** The customer's code first, then the running ones, those first that promise most. */
export function candidates(
  running: readonly Promotion[],
  subtotal: number,
  customersCode: string | undefined,
): string[] {
  const promised = ({ kind, value, minimum }: Promotion) => {
    if (subtotal < minimum) return 0;
    return kind === 'amount' ? Math.min(value, subtotal) : (subtotal * value) / 100;
  };
  const sorted = [...running].sort((a, b) => promised(b) - promised(a)).map(({ code }) => code);
  const own = customersCode?.normalize('NFKC').trim().toUpperCase();
  const all = own === undefined || own === '' ? sorted : [own, ...sorted.filter((code) => code !== own)];
  return all.slice(0, triedMax);
}
