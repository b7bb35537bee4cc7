/** What calls of well-known models cost, as their maker published it on one day. */

/** US dollars for a million tokens, which is micro-dollars for one. */
type Price = { input: number; output: number };

// Prices change: whoever changes one changes the date, so that older records keep their meaning.
const priceDate = '2025-08-07';
const prices: Readonly<Record<string, Price>> = {
  'gpt-5': { input: 1.25, output: 10 },
  'gpt-5-mini': { input: 0.25, output: 2 },
  'gpt-5-nano': { input: 0.05, output: 0.4 },
  'gpt-4.1': { input: 2, output: 8 },
  'gpt-4.1-mini': { input: 0.4, output: 1.6 },
  'gpt-4.1-nano': { input: 0.1, output: 0.4 },
  'gpt-4o': { input: 2.5, output: 10 },
  'gpt-4o-mini': { input: 0.15, output: 0.6 },
  offline: { input: 0, output: 0 },
};

export type Cost = { cost_microunits: number | null; price_date: string | null };

/** In millionths of a US dollar, rounded; nulls for a model without a price. A dated name costs what its family costs. */
export function costOf(model: string, usage: { input_tokens: number; output_tokens: number }): Cost {
  const price = prices[model.replace(/-\d{4}-\d{2}-\d{2}$/, '')];
  if (price === undefined) return { cost_microunits: null, price_date: null };
  const cost = price.input * usage.input_tokens + price.output * usage.output_tokens;
  return { cost_microunits: Math.round(cost), price_date: priceDate };
}
