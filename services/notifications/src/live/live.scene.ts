/** A scene for tests with real parts: topics of their own, instances of the live plane, and clients. */

import { randomUUID, randomUUIDv7 } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { aChatEvent, anOrderEvent } from '@ragline/schemas/samples';
import type { NotificationEvent, OrderEvent, RevocationEvent } from '@ragline/schemas/types.generated';
import { createKafka } from '@ragline/streams/kafka-client';
import { makeTopics } from '@ragline/streams/make-topics';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { type RawData, WebSocket } from 'ws';
import { eventually } from '../../../../tests/support/eventually.ts';
import { stack } from '../../../../tests/support/stack.ts';
import { startTokens, type TestClaims } from '../../../../tests/support/tokens.ts';
import { type LivePlaneOptions, startLivePlane } from './plane.ts';

export type Scene = Awaited<ReturnType<typeof startScene>>;
export type LiveMessage = { type: string } & Record<string, unknown>;

export type Headers = Record<string, string>;

/** Everything is torn down by `stop`. */
export async function startScene({ partitions = 3 }: { partitions?: number } = {}) {
  const { kafka: access, registryUrl } = stack();
  const log = createLogger({ service: 'test', level: process.env.LOG_LEVEL === 'debug' ? 'debug' : 'error' });
  const id = randomUUID().slice(0, 8);
  const topics = {
    orders: `test-live-${id}-orders`,
    notifications: `test-live-${id}-notifications`,
    conversations: `test-live-${id}-conversations`,
    revocations: `test-live-${id}-revocations`,
  };
  const kafka = createKafka({ ...access, clientId: `test-live-${id}`, log });
  const admin = kafka.admin();
  await admin.connect();
  const counts = {
    [topics.orders]: partitions,
    [topics.notifications]: 2,
    [topics.conversations]: 2,
    [topics.revocations]: 1,
  };
  const createTopics = (names: string[]) =>
    makeTopics(
      admin,
      names.map((topic) => ({ topic, numPartitions: counts[topic] ?? 1, replicationFactor: 1 })),
    );
  await createTopics(Object.values(topics));
  const producer = kafka.producer({ idempotent: false });
  await producer.connect();
  const tokens = await startTokens();
  const codec = createCodec({ registryUrl });
  const encodeOrder = await codec.encoder('order_v1');
  const encodeNotification = await codec.encoder('notification_v1');
  const encodeChatEvent = await codec.encoder('chat_event_v1');
  const encodeRevocation = await codec.encoder('revocation_v1');
  const stops: (() => Promise<unknown>)[] = [];

  const send = (topic: string, key: string | null, value: Buffer | null, headers: Headers) =>
    producer.send({ topic, messages: [{ key, value, headers }] });

  return {
    ...{ kafka, admin, producer, topics, tokens, codec, encodeOrder, send, access, createTopics },

    /** An instance on a port of its own; ready to serve, unless the test wants it otherwise. */
    async instance(options: Partial<LivePlaneOptions> = {}, { isReady = true } = {}) {
      const name = `live-${id}-${stops.length}`;
      const authentication = createAuthentication({ ...tokens.settings, log });
      const metrics = createMetrics({ service: 'notifications' });
      const health = createHealth();
      const live = await startLivePlane({
        ...{
          kafka: access,
          clientId: name,
          instance: name,
          authentication,
          codec,
          log,
          metrics,
          health,
          topics,
        },
        cursorKeys: '1:a secret of the tests',
        identityUrl: 'http://127.0.0.1:1',
        allowedOrigins: ['http://localhost:8080'],
        rateLimits: true,
        tracing: false,
        graceMs: 100,
        markRead: async () => 'not_found',
        ...options,
      });
      const server = await startServer({
        handler: (req, res) => {
          if (live.handles(req)) live.sse(req, res);
          else res.writeHead(404).end();
        },
        onUpgrade: live.upgrade,
        port: 0,
        host: '127.0.0.1',
        log,
      });
      let isStopped = false;
      const stop = async () => {
        if (isStopped) return;
        isStopped = true;
        await live.stop();
        await server.close();
      };
      stops.push(stop);
      const ready = async () => (await health.ready()).status === 'ready';
      if (isReady) await eventually(ready, { withinMs: 20_000 });
      return { live, metrics, health, port: server.port, stop };
    },

    token: (claims: TestClaims) => tokens.token(claims),

    /** An event as the orders service makes it; `wrong` replaces headers. */
    async order(of: Whom & { order?: string; status?: OrderEvent['order']['status'] }, wrong: Headers = {}) {
      const event = anOrderEvent({ tenant_id: of.tenant, user_id: of.user });
      event.order.id = of.order ?? event.order.id;
      event.order.status = of.status ?? event.order.status;
      await send(topics.orders, event.order.id, encodeOrder(event), { ...headersOf(event), ...wrong });
      return event;
    },

    /** An event of some hundred KiB. */
    async largeOrder(of: Whom & { order: string }) {
      const event = anOrderEvent({ tenant_id: of.tenant, user_id: of.user });
      const [item] = event.order.items;
      if (item !== undefined)
        event.order.items = Array.from({ length: 200 }, () => ({ ...item, name: 'n'.repeat(1_000) }));
      event.order.id = of.order;
      await send(topics.orders, event.order.id, encodeOrder(event), headersOf(event));
      return event;
    },

    /** One of that kind, made now; without a kind, an event that is about none. */
    async notification({ tenant, user, kind }: Whom & { kind?: string }) {
      const envelopeOf = envelope('notification_created', tenant, user);
      const event: NotificationEvent = {
        ...envelopeOf,
        event_type: 'notification_created',
        audience: user === '' ? 'staff' : 'user',
        while_staff: false,
        preferences: null,
        notification: kind === undefined ? null : aNotification(kind, envelopeOf.occurred_at),
      };
      await send(topics.notifications, user || tenant, encodeNotification(event), headersOf(event));
      return event;
    },

    /** A piece of an answer, as the chat service writes it; `wrong` replaces headers. */
    async delta(of: Whom & { conversation: string; sequence?: number }, wrong: Headers = {}) {
      const event = aChatEvent({
        tenant_id: of.tenant,
        user_id: of.user,
        conversation_id: of.conversation,
        sequence: of.sequence ?? 1,
      });
      await send(topics.conversations, of.conversation, encodeChatEvent(event), {
        ...headersOf(event),
        ...wrong,
      });
      return event;
    },

    async revocation({ tenant, user, session }: Whom & { session: string | null }) {
      const event: RevocationEvent = {
        ...envelope('session_revoked', tenant, user),
        event_type: session === null ? 'user_revoked' : 'session_revoked',
        session_id: session,
        valid_until: new Date(Date.now() + 900_000).toISOString(),
      };
      await send(topics.revocations, user, encodeRevocation(event), headersOf(event));
      return event;
    },

    /** Everything before `offset` is gone, as after the topic's retention. */
    async expire(topic: string, partition: number, offset: number) {
      // kafkajs knows the leaders only of topics that it was asked about.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
    },

    async stop() {
      for (const stop of stops) await stop();
      await producer.disconnect();
      await admin.deleteTopics({ topics: Object.values(topics) }).catch(() => {});
      await admin.disconnect();
      await tokens.stop();
    },
  };
}

export type Whom = { tenant: string; user: string };

function envelope(event_type: string, tenant_id: string, user_id: string) {
  return { event_id: randomUUIDv7(), event_type, occurred_at: new Date().toISOString(), tenant_id, user_id };
}

function aNotification(kind: string, created_at: string) {
  const common = { event_id: randomUUIDv7(), order_id: null, title: 'Of a test', read_at: null };
  return { id: randomUUIDv7(), kind, ...common, created_at };
}

function headersOf(event: {
  event_id: string;
  event_type: string;
  tenant_id: string;
  user_id: string;
}): Headers {
  return {
    id: event.event_id,
    event_type: event.event_type,
    tenant_id: event.tenant_id,
    user_id: event.user_id,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'content-type': 'application/avro',
  };
}

export type Client = Awaited<ReturnType<typeof connect>>;

/** A WebSocket client that keeps what it was sent. Rejects when the upgrade is refused. */
export async function connect(
  port: number,
  token: string | undefined,
  { path = '/ws', ...options }: { path?: string; protocols?: string[]; origin?: string } = {},
) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, options.protocols ?? [], {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(options.origin === undefined ? {} : { origin: options.origin }),
  });
  const messages: LiveMessage[] = [];
  const closed = new Promise<number>((resolve) => ws.on('close', resolve));
  ws.on('message', (data: RawData) => messages.push(JSON.parse(String(data))));
  await new Promise<void>((resolve, reject) => {
    ws.on('open', resolve);
    ws.on('error', reject);
    ws.on('unexpected-response', (_req, res) => {
      let body = '';
      res.on('data', (chunk: Buffer) => {
        body += chunk;
      });
      res.on('end', () => reject(new RefusedUpgrade(res.statusCode ?? 0, body, res.headers)));
    });
  });
  const client = {
    ws,
    messages,
    closed,
    send: (message: object) => ws.send(JSON.stringify(message)),
    /** The first message that fits, now or later. */
    async message(fits: (message: LiveMessage) => boolean, withinMs = 10_000): Promise<LiveMessage> {
      let found: LiveMessage | undefined;
      await eventually(
        () => {
          found = messages.find(fits);
          if (found === undefined)
            throw new Error(`no such message among ${JSON.stringify(messages).slice(0, 2_000)}`);
        },
        { withinMs, everyMs: 5 },
      );
      return found ?? { type: 'none' };
    },
    events: () => messages.filter((it) => it.type === 'event').map((it) => String(it.id)),
    /** The last cursor of a channel that it was told. */
    cursor: (channel: string) =>
      messages.findLast((it) => it.channel === channel && typeof it.cursor === 'string')?.cursor,
    async subscribe(channel: string, since?: unknown) {
      const id = `s${messages.length}-${Math.random()}`;
      client.send({ type: 'subscribe', id, channel, ...(since === undefined ? {} : { since }) });
      return client.message((it) => it.id === id && it.type !== 'event');
    },
    async close() {
      ws.close();
      await closed;
    },
  };
  return client;
}

export class RefusedUpgrade extends Error {
  readonly status: number;
  readonly body: string;
  readonly headers: Record<string, unknown>;

  constructor(status: number, body: string, headers: Record<string, unknown>) {
    super(`upgrade refused: ${status} ${body}`);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** Redeems tickets as identity does. */
export function fakeIdentity() {
  const tickets = new Map<string, string>();
  const server = http.createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += chunk;
    });
    req.on('end', () => {
      const { ticket } = JSON.parse(body);
      const access_token = tickets.get(ticket);
      tickets.delete(ticket);
      res.writeHead(access_token === undefined ? 401 : 200, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ access_token }));
    });
  });
  return {
    async start(): Promise<string> {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    ticketFor(token: string): string {
      const ticket = randomUUID();
      tickets.set(ticket, token);
      return ticket;
    },
    async stop(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
