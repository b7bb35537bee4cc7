/** Pieces of the tools' schemas: what models write, and what they are given. */
import { text, uuid } from '@ragline/web/fields';
import { z } from 'zod';
import type { Chunk, Filter } from '../retrieval/retrieve.ts';
import type { Quote } from './orders-client.ts';
import { OrdersError } from './orders-error.ts';
import { ToolError } from './tool.ts';

export const query = text(1_000, 1).meta({ description: 'What to look for, in plain words.' });

export const narrowing = {
  category: text(100, 1).optional(),
  min_price: z.int().min(0).optional().meta({ description: 'Minor units: 1250 is 12.50.' }),
  max_price: z.int().min(0).optional().meta({ description: 'Minor units: 1250 is 12.50.' }),
  tags: z
    .array(text(50, 1))
    .max(10)
    .optional()
    .meta({ description: 'All of them must hold, such as vegan, vegetarian, spicy, gluten-free.' }),
  without_allergens: z
    .array(text(50, 1))
    .max(20)
    .optional()
    .meta({ description: 'What must not be in it, such as nuts, milk, gluten.' }),
};

type Narrowing = {
  category?: string | undefined;
  min_price?: number | undefined;
  max_price?: number | undefined;
  tags?: string[] | undefined;
  without_allergens?: string[] | undefined;
};

/** What a model asked for, as the retriever narrows by it. */
export function narrowFilter(it: Narrowing): Filter {
  const lower = (words: string[]) => words.map((word) => word.trim().toLowerCase());
  return {
    ...(it.category === undefined ? {} : { categories: [it.category] }),
    ...(it.min_price === undefined ? {} : { minPrice: it.min_price }),
    ...(it.max_price === undefined ? {} : { maxPrice: it.max_price }),
    ...(it.tags === undefined ? {} : { tags: lower(it.tags) }),
    ...(it.without_allergens === undefined ? {} : { withoutAllergens: lower(it.without_allergens) }),
  };
}

const quantity = z.int().min(1).max(1_000);
export const items = z
  .array(
    z.strictObject({
      product_id: uuid.meta({ description: 'As retrieve_menu gives it.' }),
      quantity,
      notes: text(500).optional().meta({ description: 'A wish for this item.' }),
    }),
  )
  .min(1)
  .max(200);
export const promoCode = text(64, 1).optional().meta({ description: 'As the customer wrote it.' });

export const shownQuote = z.object({
  items: z.array(
    z.object({
      product_id: z.string(),
      name: z.string(),
      quantity: z.int(),
      unit_price: z.int(),
      line_total: z.int(),
      notes: z.string().nullable(),
    }),
  ),
  currency: z.string(),
  subtotal: z.int(),
  discount: z.int(),
  total: z.int(),
  promo_code: z.string().nullable(),
  expires_at: z.string(),
});
export const refusedPromotions = z.array(z.object({ code: z.string(), reason: z.string() }));

/** A quote without its token, which is nobody's but the orders service's and ours. */
export function shown({ quote_token: _, refused: __, ...quote }: Quote): z.infer<typeof shownQuote> {
  return quote;
}

/** What a chunk says beside its text, for citing. */
export const cited = { citation: z.int().min(1), title: z.string(), source: z.string() };

export function citedFrom(chunk: Chunk, citation: number | undefined) {
  return { citation: citation ?? 1, title: chunk.title, source: chunk.source };
}

/** At most so many letters, and says so where it cuts. */
export function clipped(text: string, max: number): string {
  if (text.length <= max) return text;
  // Not between the halves of a letter.
  return `${text.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Runs a call of the orders service, and tells its refusal in words that a model can act upon. */
export async function asked<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof OrdersError)) throw error;
    const advice = advices[error.code] ?? error.message;
    throw new ToolError(error.code, advice, detailsOf(error), { cause: error });
  }
}

const advices: Record<string, string> = {
  orders_unavailable:
    'Orders and prices cannot be reached at the moment; say so, and offer to try again later.',
  not_available: 'Some of these cannot be ordered; the positions are in errors. Offer something else.',
  forbidden: 'This customer may not order at the moment.',
  rate_limited: 'Too many requests at the moment; say so, and offer to try again in a minute.',
  outbox_backlog: 'Orders are not taken at the moment; say so, and offer to try again later.',
};

/** Of the problem's members only those that say what to mend. */
function detailsOf({ members }: OrdersError): Record<string, unknown> {
  const { errors, refused } = members;
  return { ...(errors === undefined ? {} : { errors }), ...(refused === undefined ? {} : { refused }) };
}
