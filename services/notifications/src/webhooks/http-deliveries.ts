/** REST of deliveries: what was sent, how it went, and once more. */
import { randomUUIDv7 } from 'node:crypto';
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { Api } from '@ragline/web/api';
import { uuid } from '@ragline/web/fields';
import { hashRequest, idempotent } from '@ragline/web/idempotency';
import { decodePageCursor, encodePageCursor, pageOf } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { attemptsMax, findDelivery, listDeliveries, redeliver, storeMessages } from './delivery-store.ts';
import { findEndpoint } from './endpoint-store.ts';
import { keyHeader, tags } from './http.ts';
import { testBodyOf, testEventType } from './message.ts';
import * as shapes from './shapes.ts';

export type DeliveryRoutesOptions = {
  api: Api;
  pool: Pool;
  idempotency: IdempotencyStore;
  /** Called when a delivery has become due. */
  wake: () => void;
};

export function addDeliveryRoutes({ api, pool, idempotency: store, wake }: DeliveryRoutesOptions): void {
  api.route(
    {
      method: 'get',
      path: '/v1/webhooks/{id}/deliveries',
      summary: 'What was sent to a webhook, newest first, with every try',
      description:
        'With the status and the first 4 KiB of the answer of each try. A page ends before its `limit` where the answers in it come to 1 MiB; `next_cursor` says whether there is more.',
      tags,
      auth: 'admin',
      params: shapes.webhookId,
      query: shapes.deliveryPage,
      responses: { 200: pageOf(shapes.delivery) },
    },
    async ({ params: { id }, query: { state, limit, cursor }, principal: { tenant_id } }) => {
      const [before] = decodePageCursor(cursor, z.tuple([uuid])) ?? [];
      const { deliveries, hasMore } = await inTenant(pool, tenant_id, async (client) => {
        if ((await findEndpoint(client, tenant_id, id)) === undefined) throw problem('not_found');
        return listDeliveries(client, tenant_id, id, { state, before, limit });
      });
      const last = deliveries.at(-1);
      const next_cursor = hasMore && last !== undefined ? encodePageCursor([last.id]) : null;
      return { status: 200, body: { data: deliveries, next_cursor } };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/webhooks/{id}/test',
      summary: 'Send a test event',
      description:
        'A delivery of type `webhook_test`, signed and tried again like any other, whatever events the webhook asks for.',
      tags,
      auth: 'admin',
      problems: ['not_available', 'idempotency_key_reused', 'request_in_progress'],
      headers: keyHeader,
      params: shapes.webhookId,
      responses: { 202: shapes.delivery },
    },
    async ({ params: { id }, headers, principal }) => {
      const requestHash = hashRequest('POST', `/v1/webhooks/${id}/test`, undefined);
      const answer = await idempotent(
        { store, principal, key: headers['idempotency-key'], requestHash },
        (client) => sendTest(client, principal.tenant_id, id),
      );
      wake();
      return answer;
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/webhook-deliveries/{id}',
      summary: 'One delivery',
      tags,
      auth: 'admin',
      params: shapes.deliveryId,
      responses: { 200: shapes.delivery },
    },
    async ({ params: { id }, principal: { tenant_id } }) => {
      const found = await inTenant(pool, tenant_id, (client) => findDelivery(client, tenant_id, id));
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: found };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/webhook-deliveries/{id}/redeliver',
      summary: 'Send a delivery once more',
      description:
        'At once, under the same `webhook-id`, and from the beginning of the schedule. The answer has the tries so far without what was answered to them. 409 `busy` while it is being sent, `not_available` while the webhook is not active.',
      tags,
      auth: 'admin',
      problems: ['busy', 'not_available', 'conflict', 'idempotency_key_reused', 'request_in_progress'],
      headers: keyHeader,
      params: shapes.deliveryId,
      responses: { 202: shapes.delivery },
    },
    async ({ params: { id }, headers, principal }) => {
      const requestHash = hashRequest('POST', `/v1/webhook-deliveries/${id}/redeliver`, undefined);
      const answer = await idempotent(
        { store, principal, key: headers['idempotency-key'], requestHash },
        (client) => askAgain(client, principal.tenant_id, id),
      );
      wake();
      return answer;
    },
  );
}

async function sendTest(client: Client, tenantId: string, id: string) {
  const endpoint = await findEndpoint(client, tenantId, id);
  if (endpoint === undefined) throw problem('not_found');
  if (!endpoint.active) throw problem('not_available', notActive);
  const at = new Date();
  const event = { event_id: randomUUIDv7(), tenant_id: tenantId };
  const [deliveryId] = await storeMessages(client, [
    {
      ...event,
      event_type: testEventType,
      occurred_at: at.toISOString(),
      body: testBodyOf({ ...event, webhook_id: id, at }),
      traceparent: currentTraceparent(),
      webhook_ids: [id],
    },
  ]);
  // It was removed at this moment.
  if (deliveryId === undefined) throw problem('not_found');
  return { status: 202, body: await findDelivery(client, tenantId, deliveryId) };
}

async function askAgain(client: Client, tenantId: string, id: string) {
  switch (await redeliver(client, tenantId, id)) {
    case 'not_found':
      throw problem('not_found');
    case 'inactive':
      throw problem('not_available', notActive);
    case 'under_way':
      throw problem('busy', 'It is being sent at this moment.');
    case 'too_often':
      throw problem('conflict', `It was tried ${attemptsMax} times.`);
    case 'asked':
      // Kept for a repetition of the request: what was answered to a hundred tries would be kept each time.
      return { status: 202, body: await findDelivery(client, tenantId, id, { withAnswers: false }) };
  }
}

const notActive = 'The webhook is not active.';
