/**
 * notifications: tells everyone concerned that an order moved.
 *
 *   orders.v1 → group notifications → notification rows → outbox → notifications.v1
 *   orders.v1 → group webhooks → deliveries → sender → endpoints of tenants
 *   orders.v1, notifications.v1, chat.events.v1 (all partitions, no group) → live plane → WebSocket, SSE
 */
import { createPool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { runService } from '@ragline/runtime/run-service';
import { endWhenStuck } from '@ragline/runtime/stuck';
import { startTracing } from '@ragline/runtime/tracing';
import { createCodec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { startConsumer } from '@ragline/streams/consumer';
import { createKafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication, type Principal } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { readConfig } from './config.ts';
import { groupId, keepNotifications } from './consumer.ts';
import { addRoutes } from './http.ts';
import { startLivePlane } from './live/plane.ts';
import { keepHouse } from './maintenance.ts';
import { memoized } from './memoized.ts';
import { createPreferenceBook } from './preferences/book.ts';
import { addPreferenceRoutes } from './preferences/http.ts';
import { startDigests } from './preferences/scheduler.ts';
import { preferenceStore } from './preferences/store.ts';
import { readerOf } from './reader.ts';
import { createRecent } from './recent.ts';
import { notificationStore } from './store.ts';
import { traceFrom } from './trace.ts';
import { pruneWebhooks, startWebhooks } from './webhooks/start.ts';

const housekeepingMs = 600_000;

const config = readConfig(process.env);
const { instance } = config;
const log = createLogger({ service: 'notifications', level: config.logLevel, instance });

await runService({ log, stopWithinMs: config.stopWithinMs }, async (own) => {
  // Past every handler's deadline: what never gives the processor back, no deadline reaches.
  own(endWhenStuck(), (it) => it.stop());
  own(startTracing({ service: 'notifications', instance, endpoint: config.otlpEndpoint }), (it) => it.stop());
  const metrics = createMetrics({ service: 'notifications' });
  const health = createHealth();
  const { databaseUrl: url, databasePool: max } = config;
  const pool = own(createPool({ url, max, applicationName: instance, log, metrics }), (it) => it.end());
  const codec = createCodec({ registryUrl: config.registryUrl });
  const encoder = memoized(() => codec.encoder('notification_v1'));
  const store = notificationStore(pool, encoder);
  const preferences = preferenceStore(pool, encoder);
  const book = createPreferenceBook({ store: preferences, log, metrics, now: Date.now });
  const recent = createRecent();
  const kafka = createKafka({ ...config.kafka, clientId: instance, log });
  const { jwksUrl, tokenIssuer: issuer, tokenAudience: audience } = config;
  // The live plane reads what is revoked; REST asks it.
  const isRevoked = (principal: Principal): boolean => live.isRevoked(principal);
  const authentication = createAuthentication({ jwksUrl, issuer, audience, log, isRevoked });

  const live = own(
    await startLivePlane({
      kafka: config.kafka,
      clientId: instance,
      instance,
      authentication,
      codec,
      cursorKeys: config.cursorKeys,
      identityUrl: config.identityUrl,
      ordersUrl: config.ordersUrl,
      chatUrl: config.chatUrl,
      allowedOrigins: config.allowedOrigins,
      rateLimits: config.rateLimits,
      tracing: config.otlpEndpoint !== undefined,
      markRead: async (principal, id) =>
        (await store.markRead(readerOf(principal), id)) === undefined ? 'not_found' : 'read',
      preferences: book,
      log,
      metrics,
      health,
    }),
    // Again below, before the server: stopping twice is once.
    (it) => it.stop(),
  );

  const webhooks = own(
    startWebhooks({
      pool,
      store,
      settings: config.webhooks,
      isProduction: config.production,
      stopWithinMs: config.stopWithinMs * 0.2,
      log,
      metrics,
    }),
    (it) => it.stop(),
  );
  const api = createApi({ title: 'RAGline notifications', authentication });
  addRoutes({ api, store, traceOf: traceFrom({ instance, live: live.traceOf, recent, store, webhooks }) });
  addPreferenceRoutes({ api, store: preferences, onChanged: book.put });
  webhooks.addRoutes(api);
  const { app } = createApp({ service: 'notifications', log, metrics, health, api });
  health.check('postgres', async () => void (await pool.query('SELECT 1')));
  own(startDigests({ pool, encoder, log, metrics }), (it) => it.stop());
  own(
    every(housekeepingMs, async () => {
      await keepHouse(pool);
      await pruneWebhooks(pool, config.webhooks.retentionDays);
    }),
    (it) => clearInterval(it),
  );

  own(
    await startServer({
      // Streams go past Express: they live for hours, and nothing of it is for them.
      handler: (req, res) => (live.handles(req) ? live.sse(req, res) : app(req, res)),
      onUpgrade: live.upgrade,
      port: config.port,
      host: config.host,
      log,
    }),
    async (it) => {
      // Sockets first: the server's close waits for every connection that is open.
      await live.stop();
      await it.close();
    },
  );

  const producer = own(await startProducer({ kafka, log }), (it) => it.stop());
  const following = {
    kafka,
    codec,
    pool,
    retry: { delaysMs: config.retryDelaysMs },
    floodGuard: config.floodGuard,
    producer,
    log,
    metrics,
    health,
    // Less than half of the time to stop: sockets and requests need theirs after it.
    stopWithinMs: Math.floor(config.stopWithinMs * 0.4),
  };
  const connections = Math.floor(config.databasePool / 2);
  // Joining takes its time: both at once.
  const joined = await Promise.all([
    webhooks.follow({
      ...following,
      stopWithinMs: Math.floor(config.stopWithinMs * 0.2),
      concurrency: Math.max(1, Math.floor(connections / 4)),
    }),
    startConsumer({
      ...following,
      groupId,
      topics: [topics.orders],
      order: 'by-key',
      handleBatch: keepNotifications(store),
      // Of this group alone: a record that is made to fail is one letter, not one for each group.
      failpoints: config.failpoints,
      concurrency: Math.max(1, connections),
      onFinished: recent.add,
    }),
  ]);
  own(joined, (all) => Promise.all(all.map((it) => it.stop())));
  // The last to be owned: stopping begins with saying so.
  own(health, (it) => it.stopping());
});

/** Runs the work now and then, on every instance: it harms nobody when two do it. */
function every(ms: number, work: () => Promise<unknown>): NodeJS.Timeout {
  const run = () => work().catch((error: unknown) => log.warn('housekeeping failed', { error }));
  void run();
  return setInterval(run, ms);
}
