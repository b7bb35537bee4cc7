/** POST /v1/orders/quote: a price and a promise of it; nothing is stored. */
import type { Api } from '@ragline/web/api';
import type { PriceBook } from './price-book.ts';
import type { QuoteTokens } from './quote-token.ts';
import { makeQuote } from './quotes.ts';
import { quote, quoteRequest } from './shapes.ts';

export function addQuoteRoute(api: Api, parts: { book: PriceBook; quotes: QuoteTokens }): void {
  api.route(
    {
      method: 'post',
      path: '/v1/orders/quote',
      summary: 'What an order would cost',
      description:
        'The token holds for 15 minutes and for its user alone. A promotion that does not apply is in `refused`.',
      tags: ['orders'],
      auth: 'customer',
      body: quoteRequest,
      problems: ['not_available'],
      responses: {
        200: {
          schema: quote,
          links: { order: { to: 'POST /v1/orders', description: 'With `quote_token`, for that price.' } },
        },
      },
    },
    async ({ body, principal }) => ({ status: 200, body: await makeQuote(parts, principal, body) }),
  );
}
