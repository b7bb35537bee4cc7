/** The service's HTTP, noun by noun. */
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import type { Api } from '@ragline/web/api';
import type { CatalogueCache } from './catalogue-cache.ts';
import { addOrderRoutes, type OrderParts } from './http-orders.ts';
import { addProductRoutes } from './http-products.ts';
import { addPromotionRoutes } from './http-promotions.ts';
import { addQuoteRoute } from './http-quotes.ts';
import { addTraceRoute } from './http-trace.ts';
import type { PriceBook } from './price-book.ts';
import type { ProductWriting } from './products.ts';
import type { QuoteTokens } from './quote-token.ts';

export type HttpParts = OrderParts & {
  cache: CatalogueCache;
  writing: ProductWriting;
  book: PriceBook;
  quotes: QuoteTokens;
  idempotency: IdempotencyStore;
};

export function addRoutes(api: Api, parts: HttpParts): void {
  addProductRoutes(api, parts);
  addPromotionRoutes(api, parts);
  addQuoteRoute(api, parts);
  addOrderRoutes(api, parts);
  addTraceRoute(api, parts);
}
