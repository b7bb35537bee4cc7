/**
 * Placing an order: decided here from prices at hand, written and checked by one statement.
 *
 *   price book ─ decide ─ place_order(…) ─┬─ created, replay, key_reused: the answer
 *        ▲                                └─ products_changed, promotion_changed: read anew, decide again
 *        └── refused by what may be out of date: read anew, decide again
 */
import { hash, randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Metrics } from '@ragline/runtime/metrics';
import { currentTraceparent } from '@ragline/runtime/tracing';
import { type Problem, problem } from '@ragline/web/problems';
import type { Actor, Events } from './events.ts';
import {
  findAnswer,
  type Placement,
  type PlacementOutcome,
  placeOrder,
  TwinAtWorkError,
} from './order-store.ts';
import type { Pages, PriceBook } from './price-book.ts';
import { type Line, type Price, priceOf } from './pricing.ts';
import { normalisedCode } from './promotion-rules.ts';
import type { QuoteTokens } from './quote-token.ts';
import { quoteOf } from './quotes.ts';
import { refusalProblem, unpricedProblem } from './refusals.ts';
import type { Order, VersionedPromotion } from './types.ts';

export type OrderRequest = {
  items: Line[];
  promo_code?: string | null | undefined;
  notes?: string | null | undefined;
  quote_token?: string | undefined;
};

/** `answer` is the order as JSON, word for word the same at each repetition. */
export type Placed = { state: 'created' | 'replayed'; answer: string };

/** How often the catalogue may change between a look at it and the order; then the caller is asked to try again. */
const attemptsMax = 4;

export type OrderPlacing = ReturnType<typeof orderPlacing>;

export function orderPlacing(parts: {
  pool: Pool;
  book: PriceBook;
  events: Events;
  quotes: QuoteTokens;
  metrics: Metrics;
}) {
  const { pool, book, events, quotes, metrics } = parts;
  const outcomes = metrics.counter('ragline_orders_placed_total', 'Orders asked for, by outcome.', [
    'outcome',
  ]);

  /** Throws Problem for whatever is not an order: not_available, price_changed, promotion_refused, invalid, … */
  async function place(actor: Actor, key: string, request: OrderRequest): Promise<Placed> {
    const { tenant_id } = actor;
    const requestHash = hash('sha256', JSON.stringify(request), 'buffer');
    const code = request.promo_code == null ? null : normalisedCode(request.promo_code);
    const id = randomUUIDv7();
    const productIds = request.items.map((item) => item.product_id);
    let pages = book.known(tenant_id);
    let isFresh = false;

    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const decision = decide(actor, id, request, code, pages);
      if (decision.kind === 'ordered') {
        const it = placementOf(key, requestHash, decision, pages);
        const result = await placeOrder(pool, it).catch(twinProblem);
        if (result.outcome !== 'products_changed' && result.outcome !== 'promotion_changed') {
          return concluded(result, it.answer);
        }
      } else if (isFresh) {
        // The key may have been answered while the catalogue was another: then that answer stands.
        const earlier = await inTenant(pool, tenant_id, (client) =>
          findAnswer(client, actor, { key, requestHash }),
        );
        if (earlier !== undefined) return concluded(earlier, '');
        outcomes.inc({ outcome: decision.problem.code });
        throw decision.problem;
      }
      pages = await book.refresh(tenant_id, productIds, code);
      isFresh = true;
    }
    outcomes.inc({ outcome: 'conflict' });
    throw problem('conflict', 'The catalogue is changing at this moment; try again.');
  }

  function decide(
    actor: Actor,
    id: string,
    request: OrderRequest,
    promoCode: string | null,
    pages: Pages,
  ): Decision {
    const atMs = timeOf(id);
    const promotion = promoCode === null ? undefined : pages.promotions.get(promoCode);
    const productOf = (productId: string) => pages.products.get(productId);
    const pricing = priceOf({ lines: request.items, productOf, promoCode, promotion, atMs });
    if (pricing.kind !== 'priced') return { kind: 'refused', problem: unpricedProblem(pricing) };
    if (request.quote_token !== undefined) {
      const judgement = quotes.judge(request.quote_token, actor, pricing.price, atMs);
      if (judgement === 'forged') return { kind: 'refused', problem: notAQuote() };
      if (judgement !== 'valid') {
        const quote = quoteOf(quotes, actor, pricing, atMs);
        const detail = judgement === 'expired' ? 'The quote has expired.' : 'The quote no longer holds.';
        return { kind: 'refused', problem: problem('price_changed', detail, { members: { quote } }) };
      }
    }
    // After the token: to its holder a promotion that has ended since is a price that changed, with a new quote.
    if (pricing.refused.length > 0) return { kind: 'refused', problem: refusalProblem(pricing.refused) };
    const at = new Date(atMs).toISOString();
    const order = orderOf(actor, id, at, pricing.price, request.notes ?? null);
    return { kind: 'ordered', order, promotion: pricing.promotion };
  }

  function placementOf(key: string, requestHash: Buffer, decision: Ordered, pages: Pages): Placement {
    const { order, promotion } = decision;
    const { event_id, payload } = events.orderCreated(order);
    return {
      key,
      requestHash,
      order,
      answer: JSON.stringify(order),
      // Every product of the order was in the pages a moment ago, in this same turn of the event loop.
      productVersions: order.items.map((item) => pages.products.get(item.product_id)?.version ?? 0),
      promotion,
      event_id,
      payload,
      traceparent: currentTraceparent(),
    };
  }

  function concluded(result: PlacementOutcome, answer: string): Placed {
    outcomes.inc({ outcome: result.outcome });
    switch (result.outcome) {
      case 'created':
        return { state: 'created', answer };
      case 'replay':
        return { state: 'replayed', answer: result.answer };
      default:
        throw problem('idempotency_key_reused');
    }
  }

  return { place };
}

type Ordered = { kind: 'ordered'; order: Order; promotion: VersionedPromotion | undefined };
type Decision = Ordered | { kind: 'refused'; problem: Problem };

function orderOf(
  { tenant_id, user_id }: Actor,
  id: string,
  at: string,
  price: Price,
  notes: string | null,
): Order {
  const { items, currency, subtotal, discount, total, promo_code } = price;
  return {
    id,
    tenant_id,
    user_id,
    status: 'pending',
    items,
    currency,
    subtotal,
    discount,
    total,
    promo_code,
    notes,
    version: 1,
    created_at: at,
    updated_at: at,
  };
}

/** A UUIDv7 begins with its time in ms since 1970: the order's time and its place in every list are the same. */
function timeOf(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

function twinProblem(error: unknown): never {
  if (error instanceof TwinAtWorkError) {
    throw problem('request_in_progress', undefined, { headers: { 'retry-after': '1' }, cause: error });
  }
  throw error;
}

function notAQuote(): Problem {
  return problem('invalid', undefined, {
    errors: [{ path: 'quote_token', message: 'is not a quote that was made for you' }],
  });
}
