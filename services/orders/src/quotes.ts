/** Quotes: a price that holds for a while, promised by a signed token. */
import type { Actor } from './events.ts';
import type { PriceBook } from './price-book.ts';
import { type Line, type Price, type Pricing, priceOf, type Refusal } from './pricing.ts';
import { normalisedCode } from './promotion-rules.ts';
import type { QuoteTokens } from './quote-token.ts';
import { unpricedProblem } from './refusals.ts';

export type Quote = { quote_token: string; expires_at: string } & Price & { refused: Refusal[] };
export type QuoteRequest = { items: Line[]; promo_code?: string | null | undefined };

export function quoteOf(
  quotes: QuoteTokens,
  actor: Actor,
  { price, refused }: Extract<Pricing, { kind: 'priced' }>,
  atMs: number,
): Quote {
  return { ...quotes.seal(actor, price, atMs), ...price, refused };
}

/** Prices by the catalogue as it is now. Throws Problem not_available or invalid when there is no price. */
export async function makeQuote(
  parts: { book: PriceBook; quotes: QuoteTokens },
  actor: Actor,
  { items, promo_code }: QuoteRequest,
): Promise<Quote> {
  const promoCode = promo_code == null ? null : normalisedCode(promo_code);
  const productIds = items.map((item) => item.product_id);
  const pages = await parts.book.refresh(actor.tenant_id, productIds, promoCode);
  const atMs = Date.now();
  const pricing = priceOf({
    lines: items,
    productOf: (id) => pages.products.get(id),
    promoCode,
    promotion: promoCode === null ? undefined : pages.promotions.get(promoCode),
    atMs,
  });
  if (pricing.kind !== 'priced') throw unpricedProblem(pricing);
  return quoteOf(parts.quotes, actor, pricing, atMs);
}
