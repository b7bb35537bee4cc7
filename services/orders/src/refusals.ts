/** Why there is no price, or no discount, in the words that the caller gets. */
import { type Problem, problem } from '@ragline/web/problems';
import type { Pricing, Refusal } from './pricing.ts';

export function unpricedProblem(pricing: Exclude<Pricing, { kind: 'priced' }>): Problem {
  switch (pricing.kind) {
    case 'not_available':
      return problem('not_available', 'Some products cannot be ordered.', {
        errors: at(pricing.positions, 'is not available'),
      });
    case 'mixed_currencies':
      return problem('invalid', 'All products of an order have one currency.', {
        errors: at(pricing.positions, 'has another currency than the first item'),
      });
    case 'too_much':
      return problem('invalid', undefined, {
        errors: [{ path: 'items', message: 'cost too much for one order' }],
      });
  }
}

export function refusalProblem(refused: readonly Refusal[]): Problem {
  const reasons = refused.map(({ code, reason }) => `${code}: ${reason}`).join(', ');
  return problem('promotion_refused', reasons, { members: { refused } });
}

function at(positions: readonly number[], message: string) {
  return positions.map((position) => ({ path: `items.${position}.product_id`, message }));
}
