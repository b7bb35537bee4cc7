/** What the gateway answers itself, and the streams that go past the services' own documents, for `/openapi.json`. */
import type { ResponseSpec, RouteDefinition } from '@ragline/web/api';
import { createDocument } from '@ragline/web/openapi';
import { z } from 'zod';
import type { Json } from './openapi.ts';
import { serviceNames } from './routes.ts';

const tags = ['system'];
const instant = z.iso.datetime();
const status = z.enum(['ready', 'degraded', 'not_ready']);
const sentinelState = z.enum(['ok', 'late', 'starting', 'off']);

const system = z
  .object({
    gateway: z.object({
      instance: z.string(),
      started_at: instant,
      node: z.string(),
      rate_limits: z.enum(['redis', 'memory', 'off']),
      open: z.object({ streams: z.int(), held: z.int(), sockets: z.int() }),
    }),
    services: z.array(
      z.object({
        name: z.enum(serviceNames),
        status,
        version: z.string().nullable(),
        instances: z.array(
          z.object({
            name: z.string(),
            address: z.string(),
            status: z.enum(['ready', 'not_ready', 'down']),
            since: instant,
            checks: z.record(z.string(), z.string()),
            open_requests: z.int(),
          }),
        ),
      }),
    ),
    sentinel: z.object({
      state: sentinelState,
      ages: z.array(z.object({ stage: z.string(), instance: z.string(), age_seconds: z.number() })),
    }),
  })
  .meta({
    id: 'System',
    examples: [
      {
        gateway: {
          instance: 'gateway-1',
          started_at: '2026-11-23T08:00:00.000Z',
          node: '24.21.0',
          rate_limits: 'redis',
          open: { streams: 12, held: 0, sockets: 340 },
        },
        services: [
          {
            name: 'orders',
            status: 'ready',
            version: '1.0.0',
            instances: [
              {
                name: 'orders-1',
                address: '127.0.0.1:4102',
                status: 'ready',
                since: '2026-11-23T08:00:02.000Z',
                checks: { postgres: 'ok' },
                open_requests: 3,
              },
            ],
          },
        ],
        sentinel: { state: 'ok', ages: [{ stage: 'socket', instance: 'notifications-1', age_seconds: 0.8 }] },
      },
    ],
  });

const eventId = z.uuid().meta({ description: 'The event’s id: `id` of a socket’s or a stream’s event.' });

const eventTrace = z
  .object({
    event_id: z.uuid(),
    origin: z
      .record(z.string(), z.unknown())
      .nullable()
      .meta({ description: 'Order, commit and traceparent, from its writer.' }),
    record: z
      .object({ topic: z.string(), partition: z.int().nullable(), offset: z.string().nullable() })
      .nullable()
      .meta({ description: 'Where it is on Kafka.' }),
    groups: z
      .array(z.record(z.string(), z.unknown()))
      .meta({ description: 'Each group’s outcome, and after how many attempts.' }),
    instances: z
      .array(z.record(z.string(), z.unknown()))
      .meta({ description: 'Reached sockets and streams, by instance.' }),
    dead_letters: z
      .array(z.record(z.string(), z.unknown()))
      .meta({ description: 'Of groups that gave up on it: for operators, and for admins of its tenant.' }),
    webhooks: z
      .array(z.record(z.string(), z.unknown()))
      .meta({ description: 'What became of it at each webhook of its tenant.' }),
    missing: z.array(z.string()).meta({ description: 'Instances that could not be asked.' }),
  })
  .meta({
    id: 'EventPath',
    examples: [
      {
        event_id: '0199d2f4-7a11-7c3e-9b51-6f0d8a2c4e17',
        origin: {
          order_id: '0199d2f4-7a10-7c3e-9b51-6f0d8a2c4e17',
          topic: 'orders.v1',
          event_type: 'order_created',
          traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
          occurred_at: '2026-11-23T09:30:00.000Z',
          committed_at: '2026-11-23T09:30:00.004Z',
        },
        record: { topic: 'orders.v1', partition: 3, offset: '41' },
        groups: [{ group: 'notifications', outcome: 'done', attempts: 1, at: '2026-11-23T09:30:00.061Z' }],
        instances: [
          { instance: 'notifications-1', received_at: '2026-11-23T09:30:00.048Z', sockets: 2, sse: 1 },
        ],
        dead_letters: [],
        webhooks: [],
        missing: [],
      },
    ],
  });

const readiness = z
  .object({
    status,
    services: z.record(z.string(), status),
    sentinel: sentinelState,
  })
  .meta({
    id: 'Readiness',
    examples: [{ status: 'ready', services: { identity: 'ready', orders: 'ready' }, sentinel: 'ok' }],
  });

const stream: ResponseSpec = {
  description: 'A stream of events, without end.',
  alsoAs: { 'text/event-stream': {} },
  headers: {
    'Set-Cookie': 'With a ticket: a cookie for `/v1/events`, by which an `EventSource` comes back.',
  },
};
const resuming =
  'From `Last-Event-ID` or `?since=` on, else from now. `id:` is the cursor of everything on the stream, `event:` the event type. At the start, after a resume and every 15 s comes `event: cursor` with `data: {}`; `event: gap` says that what was missed cannot be had: read REST again. Ends with the token.';
const place = {
  since: z.string().max(4_096).optional().meta({ description: 'A cursor: what came after it comes first.' }),
  ticket: z.string().max(512).optional().meta({ description: 'Of `POST /v1/auth/tickets`.' }),
};
const lastEventId = z.object({
  'last-event-id': z
    .string()
    .max(4_096)
    .optional()
    .meta({ description: 'As an `EventSource` sends it when it comes back: a cursor; goes before `since`.' }),
});
const asStream = {
  method: 'get',
  tags: ['live'],
  auth: 'none',
  credentials: ['bearer', 'ticket', 'cookie'],
  headers: lastEventId,
  problems: ['too_large'],
} as const;

const definitions: RouteDefinition[] = [
  {
    method: 'get',
    path: '/v1/system',
    summary: 'How the services, their instances and the sentinel stand',
    tags,
    auth: 'operator',
    responses: { 200: system },
  },
  {
    method: 'get',
    path: '/v1/events/{event_id}/trace',
    summary: "An event's path with times",
    description: "Staff see their own tenant's events, operators all.",
    tags,
    auth: ['staff', 'operator'],
    params: z.object({ event_id: eventId }),
    responses: { 200: eventTrace },
  },
  {
    ...asStream,
    path: '/v1/events',
    summary: 'What happens on the channels that one names, as server-sent events',
    description: `Channels: \`orders\`, \`orders:{id}\`, \`notifications\`, \`conversation:{id}\`. ${resuming}`,
    query: z.object({
      channel: z
        .array(z.string().max(128))
        .min(1)
        .max(200)
        .meta({ description: 'The channels, each named once: `?channel=orders&channel=notifications`.' }),
      ...place,
    }),
    responses: { 200: stream },
  },
  {
    ...asStream,
    path: '/v1/events/orders',
    summary: 'What happens to orders, as server-sent events',
    description: `Customers see their own, staff and admin all of the tenant. ${resuming}`,
    query: z.object(place),
    responses: { 200: stream },
  },
  {
    method: 'get',
    path: '/healthz',
    summary: 'That the gateway lives',
    tags,
    auth: 'none',
    responses: { 200: z.object({ status: z.literal('ok') }) },
  },
  {
    method: 'get',
    path: '/readyz',
    summary: 'Whether requests can be served',
    description: 'Not ready only while identity or orders cannot serve.',
    tags,
    auth: 'none',
    responses: { 200: readiness, 503: { schema: readiness, description: 'Not ready.' } },
  },
];

export const gatewayDocument: Json = JSON.parse(
  JSON.stringify(createDocument({ title: 'RAGline gateway' }, definitions)),
);
