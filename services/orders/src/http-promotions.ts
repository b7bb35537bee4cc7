/** GET and POST of /v1/promotions, PATCH of one: for staff. Those that run: for customers. */
import { randomUUIDv7 } from 'node:crypto';
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { idempotencyKey } from '@ragline/web/fields';
import { hashRequest, idempotent } from '@ragline/web/idempotency';
import { decodePageCursor, pageOf, pageQuery, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { normalisedCode } from './promotion-rules.ts';
import {
  insertPromotion,
  listPromotions,
  listRunning,
  lockPromotion,
  publicPromotion,
  updatePromotion,
} from './promotion-store.ts';
import { idParams, newPromotion, promotion, promotionChanges, runningPromotion } from './shapes.ts';
import type { Promotion } from './types.ts';

const tags = ['catalogue'];

/** More than a customer could choose from. */
const runningMax = 100;

export function addPromotionRoutes(
  api: Api,
  { pool, idempotency }: { pool: Pool; idempotency: IdempotencyStore },
): void {
  api.route(
    {
      method: 'get',
      path: '/v1/promotions',
      summary: 'Promotions, the newest first',
      tags,
      auth: 'staff',
      query: z.object(pageQuery),
      responses: { 200: pageOf(promotion) },
    },
    async ({ query: { limit, cursor }, principal: { tenant_id } }) => {
      const after = decodePageCursor(cursor, z.tuple([z.uuid()]));
      const rows = await inTenant(pool, tenant_id, (client) =>
        listPromotions(client, tenant_id, after?.[0], limit),
      );
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/promotions/running',
      summary: 'Promotions that an order may use now',
      description: 'Without what is the house’s own affair: how often each was and may be used.',
      tags,
      auth: 'customer',
      responses: { 200: z.object({ data: z.array(runningPromotion) }) },
    },
    async ({ principal: { tenant_id } }) => {
      const data = await inTenant(pool, tenant_id, (client) =>
        listRunning(client, tenant_id, new Date().toISOString(), runningMax),
      );
      return { status: 200, body: { data } };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/promotions',
      summary: 'Add a promotion',
      description: 'The code must be new in the tenant: 409 `conflict` otherwise.',
      tags,
      auth: 'staff',
      headers: z.object({ 'idempotency-key': idempotencyKey.optional() }),
      body: newPromotion,
      problems: ['conflict'],
      responses: { 201: { schema: promotion, headers: { location: 'Where it is.' } } },
    },
    async ({ body, headers, principal }) => {
      const requestHash = hashRequest('POST', '/v1/promotions', body);
      const store = { store: idempotency, principal, key: headers['idempotency-key'], requestHash };
      return idempotent(store, async (client) => {
        const added = consistent({ id: randomUUIDv7(), ...body, used: 0 });
        const at = new Date().toISOString();
        if (!(await insertPromotion(client, principal.tenant_id, added, at))) throw codeTaken(added.code);
        return { status: 201, body: added, headers: { location: `/v1/promotions/${added.id}` } };
      });
    },
  );

  api.route(
    {
      method: 'patch',
      path: '/v1/promotions/{id}',
      summary: 'Change a promotion',
      tags,
      auth: 'staff',
      params: idParams,
      body: promotionChanges,
      problems: ['conflict'],
      responses: { 200: promotion },
    },
    async ({ params: { id }, body, principal: { tenant_id } }) => {
      const changed = await inTenant(pool, tenant_id, async (client) => {
        const before = await lockPromotion(client, tenant_id, id);
        if (before === undefined) throw problem('not_found');
        const given = Object.entries(body).filter(([, value]) => value !== undefined);
        const after = consistent({ ...publicPromotion(before), ...Object.fromEntries(given) });
        const at = new Date().toISOString();
        if (!(await updatePromotion(client, tenant_id, after, at))) throw codeTaken(after.code);
        return after;
      });
      return { status: 200, body: changed };
    },
  );
}

/** The promotion as it is kept; throws Problem invalid when its fields contradict each other. */
function consistent(it: Promotion): Promotion {
  if (it.kind === 'percent' && it.value > 100) throw invalid('value', 'must be a percentage from 1 to 100');
  if (it.starts_at !== null && it.ends_at !== null && Date.parse(it.ends_at) <= Date.parse(it.starts_at)) {
    throw invalid('ends_at', 'must be after starts_at');
  }
  const { id, kind, value, minimum, usage_limit, used, active } = it;
  const starts_at = it.starts_at && new Date(it.starts_at).toISOString();
  const ends_at = it.ends_at && new Date(it.ends_at).toISOString();
  return {
    id,
    code: normalisedCode(it.code),
    kind,
    value,
    minimum,
    starts_at,
    ends_at,
    usage_limit,
    used,
    active,
  };
}

const invalid = (path: string, message: string) =>
  problem('invalid', undefined, { errors: [{ path, message }] });
const codeTaken = (code: string) => problem('conflict', `There is a promotion ${code} already.`);
