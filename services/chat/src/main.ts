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
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { readConfig } from './config.ts';

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

  const api = createApi({ title: 'RAGline chat', authentication });
  const { app } = createApp({ service: 'chat', log, metrics, health, api });
  health.check('postgres', async () => void (await pool.query('SELECT 1')));
  own(await startServer({ handler: app, port: config.port, host: config.host, log }), (it) => it.close());
  // The last to be owned: stopping begins with saying so.
  own(health, (it) => it.stopping());
});
