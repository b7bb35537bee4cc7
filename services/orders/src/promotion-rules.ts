/** When a promotion applies, and what it takes off. Pure. */
import type { VersionedPromotion } from './types.ts';

export const refusalReasons = [
  'unknown',
  'inactive',
  'not_started',
  'expired',
  'exhausted',
  'minimum_not_met',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** The one spelling of a code: `" sommer-10 "` and `SOMMER-10` are the same promotion. */
export function normalisedCode(code: string): string {
  return code.normalize('NFKC').trim().toUpperCase();
}

/** Why the promotion does not apply to an order of this subtotal now; undefined when it does. */
export function refusalOf(
  promotion: VersionedPromotion | undefined,
  subtotal: number,
  atMs: number,
): RefusalReason | undefined {
  if (promotion === undefined) return 'unknown';
  if (!promotion.active) return 'inactive';
  if (promotion.starts_at !== null && atMs < Date.parse(promotion.starts_at)) return 'not_started';
  if (promotion.ends_at !== null && atMs >= Date.parse(promotion.ends_at)) return 'expired';
  if (promotion.usage_limit !== null && promotion.used >= promotion.usage_limit) return 'exhausted';
  return subtotal < promotion.minimum ? 'minimum_not_met' : undefined;
}

/** What it takes off, never more than the subtotal; percentages are rounded down to a minor unit. */
export function discountOf(
  { kind, value }: Pick<VersionedPromotion, 'kind' | 'value'>,
  subtotal: number,
): number {
  if (kind === 'amount') return Math.min(value, subtotal);
  // In two steps: subtotal × value may be no safe integer any more, and each of these is one.
  return Math.floor(subtotal / 100) * value + Math.floor(((subtotal % 100) * value) / 100);
}
