/** What an order costs: from the catalogue's prices and a promotion, in whole minor units. Pure. */
import { discountOf, type RefusalReason, refusalOf } from './promotion-rules.ts';
import type { OrderItem, PricedProduct, VersionedPromotion } from './types.ts';

export type Line = { product_id: string; quantity: number; notes?: string | null | undefined };

/** Everything a price is decided from. `promoCode` is normalised; `promotion` is what the catalogue has under it. */
export type Basket = {
  lines: readonly Line[];
  productOf: (id: string) => PricedProduct | undefined;
  promoCode: string | null;
  promotion: VersionedPromotion | undefined;
  atMs: number;
};

export type Price = {
  items: OrderItem[];
  currency: string;
  subtotal: number;
  discount: number;
  total: number;
  promo_code: string | null;
};

export type Refusal = { code: string; reason: RefusalReason };

export type Pricing =
  | { kind: 'priced'; price: Price; promotion: VersionedPromotion | undefined; refused: Refusal[] }
  | { kind: 'not_available'; positions: number[] }
  | { kind: 'mixed_currencies'; positions: number[] }
  | { kind: 'too_much' };

/**
 * Prices a basket. A promotion that does not apply is in `refused`, and the price is the one without it.
 *
 * Amounts stay safe integers: what would not is `too_much`.
 */
export function priceOf(basket: Basket): Pricing {
  const items: OrderItem[] = [];
  const missing: number[] = [];
  const foreign: number[] = [];
  let currency = '';
  let subtotal = 0;
  for (const [position, line] of basket.lines.entries()) {
    const product = basket.productOf(line.product_id);
    if (product === undefined || !product.available) {
      missing.push(position);
      continue;
    }
    if (currency === '') currency = product.currency;
    else if (product.currency !== currency) foreign.push(position);
    const lineTotal = product.price * line.quantity;
    subtotal += lineTotal;
    items.push({
      product_id: product.id,
      name: product.name,
      quantity: line.quantity,
      unit_price: product.price,
      line_total: lineTotal,
      notes: line.notes ?? null,
    });
  }
  if (missing.length > 0) return { kind: 'not_available', positions: missing };
  if (foreign.length > 0) return { kind: 'mixed_currencies', positions: foreign };
  if (!Number.isSafeInteger(subtotal)) return { kind: 'too_much' };

  const { promoCode, promotion, atMs } = basket;
  const reason = promoCode === null ? undefined : refusalOf(promotion, subtotal, atMs);
  const applied = promoCode === null || reason !== undefined ? undefined : promotion;
  const discount = applied === undefined ? 0 : discountOf(applied, subtotal);
  const price = {
    items,
    currency,
    subtotal,
    discount,
    total: subtotal - discount,
    promo_code: applied?.code ?? null,
  };
  const refused = promoCode === null || reason === undefined ? [] : [{ code: promoCode, reason }];
  return { kind: 'priced', price, promotion: applied, refused };
}
