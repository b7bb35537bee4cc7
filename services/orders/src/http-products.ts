/** GET, POST, PATCH and DELETE of /v1/products. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { idempotencyKey } from '@ragline/web/fields';
import { hashRequest } from '@ragline/web/idempotency';
import { decodePageCursor, pageOf, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { jsonAnswer } from './answers.ts';
import type { Backlog } from './backlog.ts';
import type { CatalogueCache } from './catalogue-cache.ts';
import { etagOf } from './if-match.ts';
import { findProduct, listProducts } from './product-store.ts';
import type { ProductWriting } from './products.ts';
import { idParams, ifMatchHeader, newProduct, product, productChanges, productQuery } from './shapes.ts';

const tags = ['catalogue'];
const placeShape = z.tuple([
  z.enum(['name', 'price', '-price', 'relevance']),
  z.number(),
  z.string(),
  z.uuid(),
]);
const etag = { etag: 'The version, in quotes.' };
const links = { product: { to: 'GET /v1/products/{id}', parameters: { id: '$response.body#/id' } } } as const;

export function addProductRoutes(
  api: Api,
  {
    pool,
    cache,
    writing,
    backlog,
  }: { pool: Pool; cache: CatalogueCache; writing: ProductWriting; backlog: Backlog },
): void {
  api.route(
    {
      method: 'get',
      path: '/v1/products',
      summary: 'Search the catalogue, or leaf through it',
      tags,
      auth: 'customer',
      query: productQuery,
      responses: { 200: pageOf(product) },
    },
    async ({ query, principal, res }) => {
      const { limit, cursor, q, min_price: minPrice, max_price: maxPrice, ...rest } = query;
      const sort = query.sort ?? (q === undefined ? 'name' : 'relevance');
      const place = decodePageCursor(cursor, placeShape);
      if (place !== undefined && place[0] !== sort)
        throw problem('malformed', 'The cursor is of another sort.');
      const after = place && { number: place[1], text: place[2], id: place[3] };
      const filter = { ...rest, q, minPrice, maxPrice, sort, after, limit };
      const text = await cache.read(principal.tenant_id, `list:${JSON.stringify(filter)}`, () =>
        inTenant(pool, principal.tenant_id, async (client) => {
          const rows = await listProducts(client, principal.tenant_id, filter);
          const page = toPage(rows, limit, ({ place: { number, text, id } }) => [sort, number, text, id]);
          return JSON.stringify({ ...page, data: page.data.map((row) => row.product) });
        }),
      );
      jsonAnswer(res, 200, text);
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/products/{id}',
      summary: 'One product',
      tags,
      auth: 'customer',
      params: idParams,
      responses: { 200: { schema: product, headers: etag } },
    },
    async ({ params: { id }, principal: { tenant_id } }) => {
      const text = await cache.read(tenant_id, `product:${id}`, async () =>
        JSON.stringify(
          (await inTenant(pool, tenant_id, (client) => findProduct(client, tenant_id, id))) ?? null,
        ),
      );
      const found: { version: number } | null = JSON.parse(text);
      if (found === null) throw problem('not_found');
      return { status: 200, body: found, headers: { etag: etagOf(found.version) } };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/products',
      summary: 'Add a product',
      tags,
      auth: 'staff',
      headers: z.object({ 'idempotency-key': idempotencyKey.optional() }),
      body: newProduct,
      problems: ['outbox_backlog'],
      responses: { 201: { schema: product, headers: { ...etag, location: 'Where it is.' }, links } },
    },
    async ({ body, headers, principal }) => {
      backlog.requireRoom();
      const requestHash = hashRequest('POST', '/v1/products', body);
      return writing.create(principal, body, { key: headers['idempotency-key'], requestHash });
    },
  );

  api.route(
    {
      method: 'patch',
      path: '/v1/products/{id}',
      summary: 'Change a product',
      tags,
      auth: 'staff',
      params: idParams,
      headers: ifMatchHeader,
      body: productChanges,
      problems: ['outbox_backlog'],
      responses: { 200: { schema: product, headers: etag } },
    },
    async ({ params, headers, body, principal }) => {
      backlog.requireRoom();
      const changed = await writing.change(principal, params.id, body, headers['if-match']);
      return { status: 200, body: changed, headers: { etag: etagOf(changed.version) } };
    },
  );

  api.route(
    {
      method: 'delete',
      path: '/v1/products/{id}',
      summary: 'Take a product out of the catalogue',
      tags,
      auth: 'staff',
      params: idParams,
      headers: ifMatchHeader,
      problems: ['outbox_backlog'],
      responses: { 204: null },
    },
    async ({ params, headers, principal }) => {
      backlog.requireRoom();
      await writing.remove(principal, params.id, headers['if-match']);
      return { status: 204 };
    },
  );
}
