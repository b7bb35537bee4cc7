/** Puts the service together from connections that are handed in; main.ts and the tests make those. */

import type { RequestListener } from 'node:http';
import { createIdempotencyStore } from '@ragline/postgres/idempotency';
import type { Pool } from '@ragline/postgres/pool';
import type { Health } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Codec } from '@ragline/schemas/codec';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import type { Authentication } from '@ragline/web/auth';
import type { Backlog } from './backlog.ts';
import { catalogueCache } from './catalogue-cache.ts';
import { databaseVersions, sharedVersions } from './catalogue-versions.ts';
import { createEvents } from './events.ts';
import { addRoutes } from './http.ts';
import { orderPlacing } from './place-order.ts';
import { priceBook } from './price-book.ts';
import { productWriting } from './products.ts';
import { quoteTokens } from './quote-token.ts';
import type { SharedCache } from './shared-cache.ts';

export type Connections = {
  pool: Pool;
  codec: Codec;
  shared: SharedCache | undefined;
  authentication: Authentication;
  backlog: Backlog;
  position: () => string | undefined;
  quoteSecret: string;
  log: Logger;
  metrics: Metrics;
  health: Health;
};

export async function buildApp(connections: Connections): Promise<RequestListener> {
  const { pool, codec, shared, authentication, quoteSecret, log, metrics, health } = connections;
  const events = await createEvents(codec);
  const database = databaseVersions(pool);
  const versions = shared === undefined ? database : sharedVersions(database, shared, log);
  const cache = catalogueCache({ versions, shared, metrics });
  const book = priceBook(pool);
  const quotes = quoteTokens(quoteSecret);
  const idempotency = createIdempotencyStore(pool, 'orders');

  const api = createApi({ title: 'RAGline orders', authentication });
  addRoutes(api, {
    ...connections,
    events,
    cache,
    book,
    quotes,
    idempotency,
    writing: productWriting({ pool, cache, events, idempotency }),
    placing: orderPlacing({ pool, book, events, quotes, metrics }),
  });
  return createApp({ service: 'orders', log, metrics, health, api }).app;
}
