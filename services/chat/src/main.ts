/**
 * chat: answers a customer's questions from what the tenant knows, and acts for him once he approved.
 *
 *   POST message → outbox → chat.requests.v1 → group chat → chat.events.v1 → SSE, WebSocket
 *   catalog.v1 → group chat-index → chunks and their vectors
 */
import { createPool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { runService } from '@ragline/runtime/run-service';
import { endWhenStuck } from '@ragline/runtime/stuck';
import { startTracing } from '@ragline/runtime/tracing';
import { createCodec } from '@ragline/schemas/codec';
import { createKafka } from '@ragline/streams/kafka-client';
import { startProducer } from '@ragline/streams/producer';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { readConfig } from './config.ts';
import { addRoutes } from './http.ts';
import { keepHouse } from './maintenance.ts';
import { conversationStore } from './turn/conversations.ts';
import { createTurnRequests } from './turn/requests.ts';

const housekeepingMs = 600_000;

const config = readConfig(process.env);
const { instance } = config;
const log = createLogger({ service: 'chat', level: config.logLevel, instance });

await runService({ log, stopWithinMs: config.stopWithinMs }, async (own) => {
  own(endWhenStuck(), (it) => it.stop());
  own(startTracing({ service: 'chat', instance, endpoint: config.otlpEndpoint }), (it) => it.stop());
  const metrics = createMetrics({ service: 'chat' });
  const health = createHealth();
  const { databaseUrl: url, databasePool: max } = config;
  const pool = own(createPool({ url, max, applicationName: instance, log, metrics }), (it) => it.end());
  const { jwksUrl, tokenIssuer: issuer, tokenAudience: audience } = config;
  const authentication = createAuthentication({ jwksUrl, issuer, audience, log });
  const kafka = createKafka({ ...config.kafka, clientId: instance, log });
  const codec = createCodec({ registryUrl: config.registryUrl });
  const requests = await createTurnRequests(codec, { openTurnsMax: config.tenantTurnsMax });
  const conversations = conversationStore(pool);
  const producer = own(await startProducer({ kafka, log }), (it) => it.stop());

  const api = createApi({ title: 'RAGline chat', authentication });
  addRoutes(api, { pool, conversations, requests });
  const { app } = createApp({ service: 'chat', log, metrics, health, api });
  health.check('postgres', async () => void (await pool.query('SELECT 1')));
  own(
    every(housekeepingMs, () => keepHouse(pool)),
    (it) => clearInterval(it),
  );
  own(await startServer({ handler: app, port: config.port, host: config.host, log }), (it) => it.close());
  // The last to be owned: stopping begins with saying so.
  own(health, (it) => it.stopping());
});

/** Runs the work now and then, on every instance: it harms nobody when two do it. */
function every(ms: number, work: () => Promise<unknown>): NodeJS.Timeout {
  const run = () => work().catch((error: unknown) => log.warn('housekeeping failed', { error }));
  void run();
  return setInterval(run, ms);
}
