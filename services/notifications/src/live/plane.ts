/**
 * The live plane of one instance:
 *
 *   orders.v1, notifications.v1, chat.events.v1 → tail → ring → groups → sockets and streams
 *   identity.revocations.v1 → tail → sockets that must be cut
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Health } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { openSpan } from '@ragline/runtime/tracing';
import type { Codec, Decoded } from '@ragline/schemas/codec';
import { topics as allTopics } from '@ragline/schemas/topics';
import { createCursorSealer } from '@ragline/streams/cursor';
import { createReplayReader } from '@ragline/streams/replay';
import { startTail } from '@ragline/streams/tail';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import type { FetchedPartition } from '@ragline/streams/tail-records';
import type { Authentication } from '@ragline/web/auth';
import { createCredentials } from '@ragline/web/credentials';
import { createRevocations, revocationFrom, revokes } from '@ragline/web/revocations';
import { createConnections, defaultQuotas, type Quotas } from './connections.ts';
import { createLiveCore, type LiveLimits } from './core.ts';
import type { Entry } from './entry.ts';
import { createLiveMetrics } from './live-metrics.ts';
import type { MarkRead } from './messages.ts';
import { subscriptionsMax } from './protocol.ts';
import { createSchemaCache } from './schema-cache.ts';
import { createSockets } from './sockets.ts';
import { createStreams, streamCookieAt } from './sse.ts';
import { createSubscribing, lookupAt, type Wants } from './subscribing.ts';

export type LivePlaneOptions = {
  kafka: KafkaAccess;
  clientId: string;
  instance: string;
  authentication: Pick<Authentication, 'verify'> & Partial<Pick<Authentication, 'isWithdrawn'>>;
  codec: Pick<Codec, 'decode' | 'decodeSync'>;
  /** The setting CURSOR_KEYS; see createCursorSealer. */
  cursorKeys: string;
  identityUrl: string;
  /** Asked who may see an order that is not among the latest events. */
  ordersUrl?: string | undefined;
  /** Asked the same of a conversation. */
  chatUrl?: string | undefined;
  allowedOrigins: string[];
  /** Off: no limit on messages and connections. */
  rateLimits: boolean;
  /** Whether spans are sent anywhere. */
  tracing: boolean;
  markRead: MarkRead;
  /** undefined: everyone is told everything. */
  preferences?: LivePreferences;
  log: Logger;
  metrics: Metrics;
  health: Health;
  heartbeatMs?: number;
  /** How long clients get, when this instance stops, to go elsewhere. */
  graceMs?: number;
  /** How long a socket may take nothing while events wait for it. */
  slowMs?: number;
  /** How long a stream's request waits for this instance to be ready. */
  holdMs?: number;
  quotas?: Quotas;
  limits?: Partial<LiveLimits>;
  /** Other names than those of schemas/topics.ts; tests have topics of their own. */
  topics?: { orders: string; notifications: string; conversations: string; revocations: string };
};

export type LivePreferences = Wants & {
  /** Takes what a record says of somebody's preferences. */
  changed(value: unknown): void;
  /** Records may have been missed. */
  refresh(): void;
  sweep(): void;
};

/** Where an event was on this instance. Times are RFC 3339. */
export type LiveTrace = {
  tenant_id: string;
  topic: string;
  partition: number;
  offset: string;
  received_at: string;
  sockets: number;
  sse: number;
};

export type LivePlane = {
  /** Whether a request is for a stream. */
  handles(req: IncomingMessage): boolean;
  sse(req: IncomingMessage, res: ServerResponse): void;
  upgrade: ReturnType<typeof createSockets>['upgrade'];
  /** Whether a token is void although it has not ended. */
  isRevoked: ReturnType<typeof createRevocations>['isRevoked'];
  /** undefined when this instance has not seen it, or no longer remembers. */
  traceOf(eventId: string): LiveTrace | undefined;
  /** Sends everyone elsewhere, then stops reading. */
  stop(): Promise<void>;
};

const fetchAgeMaxMs = 5_000;
const behindMaxMs = 2_000;
const sweepMs = 1_000;

/** Begins to read at once and serves when it has read up to the end: see health check `live`. */
export async function startLivePlane(options: LivePlaneOptions): Promise<LivePlane> {
  const { kafka, clientId, instance, codec, log, metrics, health, rateLimits, markRead } = options;
  const { heartbeatMs = 15_000, graceMs = 2_000, preferences } = options;
  const names = options.topics ?? {
    orders: allTopics.orders.name,
    notifications: allTopics.notifications.name,
    conversations: allTopics.chatEvents.name,
    revocations: allTopics.revocations.name,
  };
  const topicNames = [names.orders, names.notifications, names.conversations];
  const now = Date.now;
  let isStopping = false;

  const sealer = createCursorSealer({ keys: options.cursorKeys });
  const reader = createReplayReader({ client: createTailClient({ kafka, clientId: `${clientId}-replay` }) });
  const lookUpSchemas = createSchemaCache({ codec, log, isStopping: () => isStopping });
  const revocations = createRevocations({ now });
  const core = createLiveCore({
    topics: topicNames,
    sealer,
    decode: (value) => shown(codec.decodeSync(value)),
    clock: { now, soon: setImmediate, after: (ms, run) => void setTimeout(run, ms) },
    read: async (topic, offsets) => {
      const fetched = await reader.read(topic.name, topic.epoch, offsets);
      await lookUpSchemas(fetched);
      return fetched;
    },
    endOffsets: (topic) => reader.endOffsets(topic.name),
    onHidden: ({ topic, partition, offset, content }) =>
      log.warn('record shown to nobody', {
        topic: topicNames[topic],
        partition,
        offset,
        reason: content.state === 'hidden' ? content.reason : undefined,
      }),
    ...(options.tracing ? { onDelivered: traceDelivery(topicNames, instance) } : {}),
    ...(options.limits ? { limits: options.limits } : {}),
  });
  const unlimited = {
    connectionsPerTenant: Number.POSITIVE_INFINITY,
    connectionsPerUser: Number.POSITIVE_INFINITY,
  };
  const quotas = rateLimits ? (options.quotas ?? defaultQuotas) : unlimited;
  const { slowMs, holdMs } = options;
  const connections = createConnections({
    ...{ core, quotas, heartbeatMs, now, isWithdrawn: options.authentication.isWithdrawn },
    ...(slowMs === undefined ? {} : { slowMs }),
  });

  function takeRevocations(fetched: FetchedPartition[]): void {
    for (const { topic, records } of fetched) {
      if (topic !== names.revocations) continue;
      for (const { value } of records) {
        const revocation = value === null ? undefined : revocationFrom(decoded(value));
        if (revocation === undefined) continue;
        revocations.add(revocation);
        connections.cut(revocation, (principal) => revokes(revocation, principal));
      }
    }
  }

  function takePreferences(fetched: FetchedPartition[]): void {
    if (preferences === undefined) return;
    for (const { topic, records } of fetched) {
      if (topic !== names.notifications) continue;
      for (const { value, headers } of records) {
        // By header: of a thousand records here not one is such a change.
        const [, type] = headers.find(([name]) => name?.toString('latin1') === 'event_type') ?? [];
        if (value === null || type?.toString('latin1') !== 'notification_preferences_changed') continue;
        preferences.changed(decoded(value));
      }
    }
  }

  function decoded(bytes: Buffer): unknown {
    try {
      return codec.decodeSync(bytes).value;
    } catch (error) {
      log.warn('record not read', { error });
      return undefined;
    }
  }

  const tail = startTail({
    client: createTailClient({ kafka, clientId: `${clientId}-tail` }),
    topics: [
      { name: names.orders, from: 'back' },
      { name: names.notifications, from: 'back' },
      { name: names.conversations, from: 'back' },
      { name: names.revocations, from: 'beginning' },
    ],
    sink: {
      opened: (name, at) => {
        core.opened(name, at);
        if (at.isRecreated && name === names.notifications) preferences?.refresh();
      },
      moved: (name, ...at) => {
        core.moved(name, ...at);
        if (name === names.notifications) preferences?.refresh();
      },
      batch: async (fetched) => {
        await lookUpSchemas(fetched);
        // First: nobody whose rights have ended gets what came with it, nor what he has just muted.
        takeRevocations(fetched);
        takePreferences(fetched);
        await core.ingest(fetched);
      },
    },
    log,
  });

  const notReady = (): string | undefined => {
    const { fetchedAt, behindSince, isCaughtUp } = tail.status();
    if (isStopping) return 'stopping';
    if (!isCaughtUp) return 'reading up to the end';
    if (now() - fetchedAt > fetchAgeMaxMs) return 'no answer from Kafka';
    if (behindSince !== undefined && now() - behindSince > behindMaxMs) return 'behind the end';
    return undefined;
  };
  const isReady = () => notReady() === undefined;
  health.check('live', () => {
    const reason = notReady();
    if (reason !== undefined) throw new Error(reason);
  });

  const { authentication, identityUrl, allowedOrigins } = options;
  const credentials = createCredentials({
    ...{ authentication, revocations, identityUrl, allowedOrigins },
    cookieName: streamCookieAt.name,
  });
  const subscribing = createSubscribing({
    core,
    lookUpOrder: lookupAt(options.ordersUrl, '/v1/orders'),
    lookUpConversation: lookupAt(options.chatUrl, '/v1/conversations'),
    preferences,
  });
  const common = { core, connections, credentials, subscribing, isReady, subscriptionsMax, log, now };
  const flood = rateLimits ? { perSecond: 50, burst: 500 } : undefined;
  const sockets = createSockets({ ...common, markRead, heartbeatMs, flood });
  const streams = createStreams({
    ...common,
    isStopping: () => isStopping,
    ...(holdMs === undefined ? {} : { holdMs }),
  });

  const published = createLiveMetrics({ metrics, core, connections });
  const timer = setInterval(
    () => {
      connections.sweep();
      revocations.prune();
      preferences?.sweep();
      published.publish(tail.status(), now());
    },
    Math.min(sweepMs, heartbeatMs / 4),
  );

  return {
    isRevoked: revocations.isRevoked,
    handles: streams.handles,
    sse: streams.stream,
    upgrade: sockets.upgrade,
    traceOf(eventId) {
      const entry = core.ring.find(eventId);
      const topic = entry && core.topics[entry.topic];
      if (entry === undefined || topic === undefined) return undefined;
      return {
        tenant_id: entry.tenant,
        topic: topic.name,
        partition: entry.partition,
        offset: String(entry.offset),
        received_at: new Date(entry.receivedAt).toISOString(),
        sockets: entry.sockets,
        sse: entry.sse,
      };
    },
    async stop() {
      if (isStopping) return;
      isStopping = true;
      // Spread, so that a thousand clients do not arrive at the next instance in the same millisecond.
      for (const connection of connections.all) {
        connection.send({ type: 'goaway', reconnect_after_ms: Math.round(Math.random() * graceMs) });
      }
      const until = now() + graceMs;
      while (connections.all.size > 0 && now() < until) await delay(20);
      clearInterval(timer);
      await tail.stop();
      for (const connection of connections.all) connections.close(connection, 'restart');
      await reader.stop();
    },
  };
}

/** An event of a conversation is flat, most of it null, and there are many: it is shown without what it has nothing to say about. */
function shown({ name, value }: Decoded): unknown {
  if (name !== 'chat_event_v1' || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

/** The last hop of an event's trace: one span an event and instance, not one a socket. */
function traceDelivery(topicNames: string[], instance: string) {
  return (entry: Entry): void => {
    openSpan('live deliver', {
      kind: 'producer',
      parent: entry.traceparent,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.destination.name': topicNames[entry.topic] ?? '',
        'messaging.destination.partition.id': String(entry.partition),
        'messaging.kafka.offset': entry.offset,
        'ragline.instance': instance,
        'ragline.sockets': entry.sockets,
        'ragline.sse': entry.sse,
      },
    }).end();
  };
}
