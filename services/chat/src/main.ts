/**
 * chat: answers a customer's questions from what the tenant knows, and acts for him once he approved.
 *
 *   POST message → outbox → chat.requests.v1 → group chat → chat.events.v1 → SSE, WebSocket
 *   catalog.v1 → group chat-index → chunks and their vectors
 */
import { join } from 'node:path';
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
import { createAuthentication, type Principal } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { readConfig } from './config.ts';
import { createEmbedders } from './embedding/embedders.ts';
import { prepareModels } from './embedding/prepare.ts';
import { createQueryCache } from './embedding/query-cache.ts';
import { addRoutes } from './http.ts';
import { addOpenAiRoutes } from './http-openai.ts';
import { addToolRoutes } from './http-tools.ts';
import { createKnowledge } from './knowledge/knowledge.ts';
import { startLive } from './live/live.ts';
import { keepHouse } from './maintenance.ts';
import { createCallRecorder } from './model/calls.ts';
import { createModel } from './model/create.ts';
import { addReachableRoute } from './model/http-reachable.ts';
import { loadPrompts } from './model/prompts.ts';
import { addSearchRoutes } from './retrieval/http-search.ts';
import { createRetriever } from './retrieval/retrieve.ts';
import { approvalExecution } from './tools/approvals.ts';
import { delegatedTokens } from './tools/delegated-tokens.ts';
import { maskedModel } from './tools/masked-model.ts';
import { createOrdersClient } from './tools/orders-client.ts';
import { recentMessages } from './tools/recent-messages.ts';
import { createToolRegistry } from './tools/registry.ts';
import { conversationStore } from './turn/conversations.ts';
import { noFailpoint } from './turn/failpoint.ts';
import { createPlaces } from './turn/places.ts';
import { createTurnRequests } from './turn/requests.ts';
import { startTurns } from './turn/start.ts';

const housekeepingMs = 600_000;
const unlimited = 1_000_000;

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
  // The reading side knows what is revoked; REST asks it.
  const isRevoked = (principal: Principal): boolean => live.admission.isRevoked(principal);
  const authentication = createAuthentication({ jwksUrl, issuer, audience, log, isRevoked });
  const kafka = createKafka({ ...config.kafka, clientId: instance, log });
  const codec = createCodec({ registryUrl: config.registryUrl });
  const openTurns = {
    openTurnsMax: config.rateLimits ? config.tenantTurnsMax : unlimited,
    openTurnsOfUserMax: config.rateLimits ? config.userTurnsMax : unlimited,
  };
  const requests = await createTurnRequests(codec, openTurns);
  const conversations = conversationStore(pool);
  const live = own(
    startLive({
      ...{ pool, codec, requests, conversations, authentication, health, log, metrics, clientId: instance },
      ...{ kafka: config.kafka, cursorKeys: config.cursorKeys, identityUrl: config.identityUrl },
      ...{ allowedOrigins: config.allowedOrigins, rateLimits: config.rateLimits },
      quotas: config.streams,
      answerWithinMs: config.answerWithinMs,
      budgets: config.budgets,
    }),
    (it) => it.stop(),
  );
  const producer = own(await startProducer({ kafka, log }), (it) => it.stop());

  const embedders = own(createEmbedders(config.embedding, { log, metrics }), (it) => it.stop());
  const { index, metadataIndex } = config.retrieval;
  await prepareModels({ pool, model: embedders.preferred.model, index, metadataIndex, log });
  const { queryCacheMs: keptMs } = config.embedding;
  const cache = own(createQueryCache({ redisUrl: config.redisUrl, keptMs, log, metrics }), (it) => it.stop());
  const retriever = createRetriever({ pool, embedders, cache, settings: config.retrieval, metrics });
  const knowledge = createKnowledge({ settings: config.knowledge, pool, codec, embedders, log, metrics });

  const calls = own(
    createCallRecorder({ producer, encoder: () => codec.encoder('llm_call_v1'), log }),
    (it) => it.stop(),
  );
  const embedder = embedders.preferred;
  const plainModel = own(
    await createModel(config.model, { embedder, metrics, log, record: calls.record }),
    (it) => it.stop(),
  );
  const { maskPii, piiRegion } = config;
  const model = maskPii ? maskedModel(plainModel, { region: piiRegion }) : plainModel;
  const tokens = delegatedTokens({
    identityUrl: config.identityUrl,
    secret: config.delegationSecret,
    timeoutMs: config.ordersTimeoutMs,
  });
  const { ordersUrls: urls, ordersTimeoutMs: timeoutMs } = config;
  const orders = own(createOrdersClient({ urls, tokens, timeoutMs, metrics }), (it) => it.stop());
  const prompts = loadPrompts();
  const registry = own(
    await createToolRegistry({
      folder: join(import.meta.dirname, 'tools', 'definitions'),
      parts: {
        pool,
        retriever,
        orders,
        model,
        prompts,
        piiRegion,
        recentMessages: (tenantId, conversationId, limit) =>
          recentMessages(pool, tenantId, conversationId, limit),
      },
      metrics,
      log,
    }),
    (it) => it.stop(),
  );

  const api = createApi({ title: 'RAGline chat', authentication });
  addRoutes(api, { pool, conversations, requests, ...live });
  addSearchRoutes(api, { retriever });
  const { requestApproval } = requests;
  addToolRoutes(api, { pool, registry, requestApproval, answers: live.answers });
  addOpenAiRoutes(api, {
    ...{ pool, model, retriever, authentication, log, prompt: prompts.prompt('assistant') },
    ...{ budgets: live.budgets, admission: live.admission, places: createPlaces(openTurns) },
    ...{ limits: config.context, deadlineMs: config.turnDeadlineMs },
  });
  knowledge.addRoutes(api);
  addReachableRoute(api, { model: config.model, embedding: config.embedding });
  const { app } = createApp({ service: 'chat', log, metrics, health, api });
  health.check('postgres', async () => void (await pool.query('SELECT 1')));
  own(
    every(housekeepingMs, () => keepHouse(pool)),
    (it) => clearInterval(it),
  );
  const { port, host } = config;
  own(await startServer({ handler: app, onUpgrade: live.upgrade, port, host, log }), async (it) => {
    // Streams first: the server's close waits for every answer that is being written.
    await live.stop();
    await it.close();
  });

  const { retryDelaysMs: delaysMs, floodGuard, failpoints } = config;
  // Less than half of the time to stop: requests need theirs after it.
  const stopWithinMs = Math.floor(config.stopWithinMs * 0.4);
  const following = { retry: { delaysMs }, floodGuard, failpoints, stopWithinMs, kafka, producer, health };
  own(knowledge.fill(), (it) => it.stop());
  own(knowledge.reindex(), (it) => it.stop());
  own(await knowledge.follow(following), (it) => it.stop());

  // Of its own: what waits for its answer must not wait behind a dead letter.
  const events = own(await startProducer({ kafka, log }), (it) => it.stop());
  own(
    await startTurns({
      ...following,
      retry: { delaysMs: config.turnRetryDelaysMs },
      pool,
      kafkaAccess: config.kafka,
      codec,
      events,
      model,
      retriever,
      tools: registry,
      execute: approvalExecution({ pool, orders }),
      prompt: prompts.prompt('assistant'),
      summaryPrompt: prompts.prompt('conversation-summary'),
      limits: config.context,
      failpoint: noFailpoint,
      spend: live.budgets.spend,
      instance,
      deadlineMs: config.turnDeadlineMs,
      concurrency: config.concurrency,
      captureContent: config.captureContent,
      metrics,
      log,
    }),
    (it) => it.stop(),
  );
  // The last to be owned: stopping begins with saying so.
  own(health, (it) => it.stopping());
});

/** Runs the work now and then, on every instance: it harms nobody when two do it. */
function every(ms: number, work: () => Promise<unknown>): NodeJS.Timeout {
  const run = () => work().catch((error: unknown) => log.warn('housekeeping failed', { error }));
  void run();
  return setInterval(run, ms);
}
