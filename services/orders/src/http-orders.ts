/** Orders over HTTP: placing, reading, and their steps. */
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { Codec } from '@ragline/schemas/codec';
import type { Api } from '@ragline/web/api';
import { hasRole, type Principal } from '@ragline/web/auth';
import { idempotencyKey } from '@ragline/web/fields';
import { decodePageCursor, pageOf, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { jsonAnswer } from './answers.ts';
import type { Backlog } from './backlog.ts';
import type { Events } from './events.ts';
import { listHistory } from './history.ts';
import { etagOf } from './if-match.ts';
import { changeOrder } from './order-changes.ts';
import { findOrder, listOrders } from './order-store.ts';
import type { OrderPlacing } from './place-order.ts';
import {
  cancellation,
  historyQuery,
  idParams,
  ifMatchHeader,
  order,
  orderEvent,
  orderQuery,
  orderRequest,
  statusChange,
} from './shapes.ts';

const tags = ['orders'];

const idOfBody = { id: '$response.body#/id' };
const orderLinks = {
  order: { to: 'GET /v1/orders/{id}', parameters: idOfBody },
  history: { to: 'GET /v1/orders/{id}/history', parameters: idOfBody },
  status: { to: 'POST /v1/orders/{id}/status', parameters: idOfBody },
  cancel: { to: 'POST /v1/orders/{id}/cancel', parameters: idOfBody },
} as const;
const orderAnswer = { schema: order, headers: { etag: 'The version, in quotes.' }, links: orderLinks };
const positionHeader = {
  'stream-position': 'A cursor from before the read: subscribing from it misses nothing.',
};

export type OrderParts = {
  pool: Pool;
  codec: Codec;
  events: Events;
  placing: OrderPlacing;
  backlog: Backlog;
  /** The end of orders.v1 as a cursor; undefined while Kafka was never reached. */
  position: () => string | undefined;
};

export function addOrderRoutes(api: Api, parts: OrderParts): void {
  const { pool, codec, placing, backlog, position } = parts;

  api.route(
    {
      method: 'post',
      path: '/v1/orders',
      summary: 'Place an order',
      description:
        'The same key and body again get the first answer, with `Idempotent-Replayed: true`. With a quote whose content or prices no longer hold: 409 `price_changed` with the new `quote`.',
      tags,
      auth: 'customer',
      headers: z.object({ 'idempotency-key': idempotencyKey }),
      body: orderRequest,
      problems: ['price_changed', 'not_available', 'conflict', 'promotion_refused', 'outbox_backlog'],
      responses: {
        201: { ...orderAnswer, headers: { ...orderAnswer.headers, location: 'Where the order is.' } },
      },
    },
    async ({ body, headers, principal, res }) => {
      backlog.requireRoom();
      const { state, answer } = await placing.place(principal, headers['idempotency-key'], body);
      const replayed = state === 'replayed' ? { 'idempotent-replayed': 'true' } : undefined;
      jsonAnswer(res, 201, answer, { location: `/v1/orders/${idOf(answer)}`, etag: etagOf(1), ...replayed });
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/orders',
      summary: 'Orders, the newest first',
      description: 'Customers see their own, staff and admin all of the tenant.',
      tags,
      auth: 'customer',
      query: orderQuery,
      responses: {
        200: {
          schema: pageOf(order),
          headers: positionHeader,
          links: { order: { to: 'GET /v1/orders/{id}', parameters: { id: '$response.body#/data/0/id' } } },
        },
      },
    },
    async ({ query: { limit, cursor, status, from, to }, principal }) => {
      const headers = positionHeaders(position());
      const filter = {
        userId: ownerFor(principal),
        status,
        fromMs: from === undefined ? undefined : Date.parse(from),
        toMs: to === undefined ? undefined : Date.parse(to),
        afterId: decodePageCursor(cursor, z.tuple([z.uuid()]))?.[0],
        limit,
      };
      const rows = await inTenant(pool, principal.tenant_id, (it) =>
        listOrders(it, principal.tenant_id, filter),
      );
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]), headers };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/orders/{id}',
      summary: 'One order',
      tags,
      auth: 'customer',
      params: idParams,
      responses: { 200: { ...orderAnswer, headers: { ...orderAnswer.headers, ...positionHeader } } },
    },
    async ({ params: { id }, principal }) => {
      const headers = positionHeaders(position());
      const found = await inTenant(pool, principal.tenant_id, (client) =>
        findOrder(client, principal.tenant_id, id, { userId: ownerFor(principal) }),
      );
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: found.order, headers: { ...headers, etag: etagOf(found.order.version) } };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/orders/{id}/history',
      summary: 'The events of an order, the first one first',
      tags,
      auth: 'customer',
      params: idParams,
      query: historyQuery,
      responses: {
        200: {
          schema: pageOf(orderEvent),
          links: {
            trace: {
              to: 'GET /v1/events/{event_id}/trace',
              parameters: { event_id: '$response.body#/data/0/event_id' },
              description: 'The path of one of the events: for staff.',
            },
          },
        },
      },
    },
    async ({ params: { id }, query, principal }) => {
      const page = await inTenant(pool, principal.tenant_id, async (client) => {
        const found = await findOrder(client, principal.tenant_id, id, { userId: ownerFor(principal) });
        if (found === undefined) throw problem('not_found');
        return listHistory(client, codec, principal.tenant_id, id, query);
      });
      return { status: 200, body: page };
    },
  );

  addStepRoutes(api, parts);
}

function addStepRoutes(api: Api, { pool, events, backlog }: OrderParts): void {
  api.route(
    {
      method: 'post',
      path: '/v1/orders/{id}/status',
      summary: 'Take an order a step on, or call it back',
      description: 'Anything but a step that the order may take is 409 `illegal_transition`.',
      tags,
      auth: 'staff',
      params: idParams,
      headers: ifMatchHeader,
      body: statusChange,
      problems: ['illegal_transition', 'conflict', 'outbox_backlog'],
      responses: { 200: orderAnswer },
    },
    async ({ params, headers, body, principal }) => {
      backlog.requireRoom();
      const step = { actor: principal, as: 'staff', orderId: params.id, to: body.status } as const;
      const changed = await changeOrder({ pool, events }, { ...step, ifMatch: headers['if-match'] });
      return { status: 200, body: changed, headers: { etag: etagOf(changed.version) } };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/orders/{id}/cancel',
      summary: 'Cancel an order',
      description: 'Customers while it is pending; staff until it is ready.',
      tags,
      auth: 'customer',
      params: idParams,
      headers: ifMatchHeader,
      body: cancellation,
      problems: ['illegal_transition', 'conflict', 'outbox_backlog'],
      responses: { 200: orderAnswer },
    },
    async ({ params, headers, body, principal }) => {
      backlog.requireRoom();
      const changed = await changeOrder(
        { pool, events },
        {
          actor: principal,
          as: hasRole(principal, 'staff') ? 'staff' : 'customer',
          orderId: params.id,
          to: 'cancelled',
          ifMatch: headers['if-match'],
          reason: body?.reason ?? undefined,
        },
      );
      return { status: 200, body: changed, headers: { etag: etagOf(changed.version) } };
    },
  );
}

/** Whose orders the caller may read: undefined for all of the tenant. */
function ownerFor(principal: Principal): string | undefined {
  return hasRole(principal, 'staff') ? undefined : principal.user_id;
}

function positionHeaders(position: string | undefined): Record<string, string> {
  return position === undefined ? {} : { 'stream-position': position };
}

/** The id of an answer of ours, in which it is the first member: nothing needs to be parsed for it. */
function idOf(answer: string): string {
  return answer.slice('{"id":"'.length, '{"id":"'.length + 36);
}
