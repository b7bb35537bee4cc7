/** REST of notifications, and this instance's part of an event's trace. */
import type { Api } from '@ragline/web/api';
import { hasRole, type Principal } from '@ragline/web/auth';
import { queryBoolean, uuid } from '@ragline/web/fields';
import { decodePageCursor, pageOf, pageQuery, toPage } from '@ragline/web/pages';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { readerOf } from './reader.ts';
import type { NotificationStore } from './store.ts';
import type { Trace } from './trace.ts';

const notification = z
  .object({
    id: uuid,
    kind: z.string().meta({ description: 'The event type that caused it.' }),
    event_id: uuid,
    order_id: uuid.nullable(),
    title: z.string(),
    read_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
  })
  .meta({
    id: 'Notification',
    examples: [
      {
        id: '0199d2f4-7a13-7c3e-9b51-6f0d8a2c4e17',
        kind: 'order_created',
        event_id: '0199d2f4-7a11-7c3e-9b51-6f0d8a2c4e17',
        order_id: '0199d2f4-7a10-7c3e-9b51-6f0d8a2c4e17',
        title: 'Your order is in.',
        read_at: null,
        created_at: '2026-11-23T09:30:00.000Z',
      },
    ],
  });

const trace = z
  .object({
    instance: z.string(),
    topic: z.string().nullable(),
    partition: z.int().nullable(),
    offset: z.string().nullable(),
    received_at: z.iso.datetime().nullable().meta({ description: 'When the live plane received it.' }),
    sockets: z.int().meta({ description: 'WebSockets it was written to.' }),
    sse: z.int().meta({ description: 'SSE streams it was written to.' }),
    groups: z.array(
      z.object({
        group: z.string(),
        outcome: z.string(),
        attempts: z.int().nullable(),
        at: z.iso.datetime(),
      }),
    ),
    webhooks: z.array(
      z.object({
        webhook_id: uuid,
        delivery_id: uuid,
        state: z.string(),
        attempts: z.int(),
        last_status: z.int().nullable(),
        last_error_code: z.string().nullable(),
        created_at: z.iso.datetime(),
        finished_at: z.iso.datetime().nullable(),
      }),
    ),
  })
  .meta({ id: 'EventTrace' });

const member = ['customer', 'staff', 'admin'] as const;
const tags = ['notifications'];

export type HttpOptions = {
  api: Api;
  store: NotificationStore;
  traceOf: (eventId: string, tenantId: string | undefined) => Promise<Trace | undefined>;
};

export function addRoutes({ api, store, traceOf }: HttpOptions): void {
  api.route(
    {
      method: 'get',
      path: '/v1/notifications',
      summary: 'Your notifications, newest first',
      description: 'Staff also see what is for all staff of the tenant; read marks are each one’s own.',
      tags,
      auth: member,
      query: z.object({
        ...pageQuery,
        unread: queryBoolean.optional().meta({ description: 'true: those not read yet; false: those read.' }),
      }),
      responses: { 200: pageOf(notification) },
    },
    async ({ query: { limit, cursor, unread }, principal }) => {
      const [before] = decodePageCursor(cursor, z.tuple([uuid])) ?? [];
      const rows = await store.list(readerOf(principal), { unread, before, limit });
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/notifications/{id}/read',
      summary: 'Mark one as read',
      tags,
      auth: member,
      params: z.object({ id: uuid.meta({ description: 'Of the notification.' }) }),
      responses: { 200: notification },
    },
    async ({ params: { id }, principal }) => {
      const read = await store.markRead(readerOf(principal), id);
      if (read === undefined) throw problem('not_found');
      return { status: 200, body: read };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/notifications/read-all',
      summary: 'Mark all as read',
      tags,
      auth: member,
      responses: { 200: z.object({ read: z.int().meta({ description: 'How many were unread.' }) }) },
    },
    async ({ principal }) => ({ status: 200, body: { read: await store.markAllRead(readerOf(principal)) } }),
  );

  // Composed by the gateway; it is not forwarded to from outside.
  api.route(
    {
      method: 'get',
      path: '/internal/trace/{event_id}',
      summary: 'What this instance knows of an event',
      tags: ['internal'],
      auth: ['staff', 'operator'],
      params: z.object({ event_id: uuid }),
      responses: { 200: trace },
    },
    async ({ params: { event_id }, principal }) => {
      const found = await traceOf(event_id, tenantSeenBy(principal));
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: found };
    },
  );
}

/** An operator sees the traces of all; staff those of the tenant. */
function tenantSeenBy(principal: Principal): string | undefined {
  return hasRole(principal, 'operator') ? undefined : principal.tenant_id;
}
