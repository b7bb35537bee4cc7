/** Settings of the chat service. */
import { type LogLevel, logLevels } from '@ragline/runtime/logger';
import { readSettings, SettingsError } from '@ragline/runtime/settings';
import { usualFloodLimits } from '@ragline/streams/retry/flood-guard';
import { delayMsMax, usualDelaysMs } from '@ragline/streams/retry/names';
import { readEmbeddingSettings } from './embedding/settings.ts';
import { readKnowledgeSettings } from './knowledge/settings.ts';
import { readModelSettings } from './model/settings.ts';
import { readRetrievalSettings } from './retrieval/settings.ts';

export type Config = ReturnType<typeof readConfig>;

/** Throws SettingsError naming every faulty setting. */
export function readConfig(environment: NodeJS.ProcessEnv) {
  const config = readSettings(environment, (env) => {
    const model = readModelSettings(env);
    const isOffline = model.provider === 'offline';
    return {
      production: env.choice('RAGLINE_ENV', ['development', 'production'], 'development') === 'production',
      logLevel: env.choice<LogLevel>('LOG_LEVEL', logLevels, 'info'),
      host: env.string('HOST', '127.0.0.1'),
      port: env.integer('PORT', 8085, { min: 0, max: 65_535 }),
      instance: env.string('INSTANCE', 'chat-1'),
      stopWithinMs: env.integer('STOP_WITHIN_MS', 10_000, { min: 1_000 }),
      databaseUrl: env.url('DATABASE_URL'),
      databasePool: env.integer('DATABASE_POOL', 10, { min: 1, max: 100 }),
      kafka: {
        brokers: env.list('KAFKA_BROKERS'),
        username: env.optional('KAFKA_USERNAME'),
        password: env.optional('KAFKA_PASSWORD'),
        saslMechanism: env.string('KAFKA_SASL_MECHANISM', 'plain'),
      },
      registryUrl: env.url('SCHEMA_REGISTRY_URL'),
      /** Without it, caches live in this process alone. */
      redisUrl: env.optional('REDIS_URL'),
      jwksUrl: env.url('JWKS_URL'),
      tokenIssuer: env.string('TOKEN_ISSUER', 'ragline'),
      tokenAudience: env.string('TOKEN_AUDIENCE', 'ragline'),
      /** Asked for the tokens with which the assistant acts for a user. */
      identityUrl: env.url('IDENTITY_URL'),
      /** Shared with identity, and what it takes to be given such tokens. */
      delegationSecret: env.secret('DELEGATION_SECRET'),
      ordersUrls: env.list('ORDERS_URLS'),
      ordersTimeoutMs: env.integer('ORDERS_TIMEOUT_MS', 5_000, { min: 100, max: 60_000 }),
      /** Whether a model sees what users wrote without e-mail addresses, cards, IBANs and phone numbers. */
      maskPii: env.choice('MASK_PII', ['on', 'off'], 'off') === 'on',
      /** ISO 3166 code of the country whose phone numbers are written without a prefix. */
      piiRegion: env.string('PII_REGION', 'US'),
      embedding: readEmbeddingSettings(env),
      retrieval: readRetrievalSettings(env),
      knowledge: readKnowledgeSettings(env),
      model,
      cursorKeys: env.secret('CURSOR_KEYS'),
      allowedOrigins: env.list('ALLOWED_ORIGINS', ['http://localhost:8080', 'http://127.0.0.1:8080']),
      /** Turns answered at a time by this instance. */
      concurrency: env.integer('CHAT_CONCURRENCY', 32, { min: 1, max: 1_000 }),
      /** Turns of a tenant that may wait or run at a time. */
      tenantTurnsMax: env.integer('CHAT_TENANT_TURNS', 24, { min: 1 }),
      /** The part of them that one user may have. */
      userTurnsMax: env.integer('CHAT_USER_TURNS', 6, { min: 1 }),
      /** Streams and sockets open on this instance, of a user and of a tenant, and resumes of a user at a time. */
      streams: {
        perUser: env.integer('CHAT_USER_STREAMS', 100, { min: 1 }),
        perTenant: env.integer('CHAT_TENANT_STREAMS', 5_000, { min: 1 }),
        resumesPerUser: env.integer('CHAT_USER_RESUMES', 20, { min: 1 }),
      },
      /** As retryDelaysMs, of turns: somebody waits for them. */
      turnRetryDelaysMs: env.integers('CHAT_RETRY_DELAYS_MS', [1_000, 5_000, 30_000], {
        min: 1,
        max: delayMsMax,
      }),
      /** How long who asks for the whole answer waits for it, before he is told to come back. */
      answerWithinMs: env.integer('ANSWER_WITHIN_MS', 150_000, { min: 1_000, max: 3_600_000 }),
      /**
       * Tokens a day; 0: as many as one likes. Rate limits switched off, there is none. Those of the offline responder
       * cost nobody anything, and are limited only where somebody asks for it.
       */
      budgets: {
        tenantTokens: env.integer('BUDGET_TENANT_TOKENS', isOffline ? 0 : 20_000_000, { min: 0 }),
        userTokens: env.integer('BUDGET_USER_TOKENS', isOffline ? 0 : 1_000_000, { min: 0 }),
      },
      rateLimits: env.choice('RAGLINE_RATE_LIMITS', ['on', 'off'], 'on') === 'on',
      turnDeadlineMs: env.integer('TURN_DEADLINE_MS', 120_000, { min: 1_000, max: 3_600_000 }),
      context: {
        /** The whole of what a model is sent and answers, where it would take more. */
        tokensMax: env.integer('CONTEXT_TOKENS', 16_000, { min: 1_000 }),
        answerTokens: env.integer('CONTEXT_ANSWER_TOKENS', 1_024, { min: 64 }),
        knowledgeTokens: env.integer('CONTEXT_KNOWLEDGE_TOKENS', 1_500, { min: 0 }),
        historyTokens: env.integer('CONTEXT_HISTORY_TOKENS', 2_000, { min: 0 }),
      },
      /** Whether spans carry questions and answers. */
      captureContent: env.choice('CAPTURE_CONTENT', ['on', 'off'], 'off') === 'on',
      retryDelaysMs: env.integers('RETRY_DELAYS_MS', usualDelaysMs, { min: 1, max: delayMsMax }),
      floodGuard: env.choice('FLOOD_GUARD', ['on', 'off'], 'on') === 'on' && {
        share: env.integer('FLOOD_SHARE_PERCENT', usualFloodLimits.share * 100, { min: 1, max: 100 }) / 100,
        windowMs: env.integer('FLOOD_WINDOW_MS', usualFloodLimits.windowMs, { min: 100 }),
        least: env.integer('FLOOD_LEAST', usualFloodLimits.least, { min: 1 }),
      },
      failpoints: env.choice('RAGLINE_FAILPOINTS', ['on', 'off'], 'off') === 'on',
      otlpEndpoint: env.optional('OTEL_EXPORTER_OTLP_ENDPOINT'),
    };
  });
  if (config.production && config.failpoints) {
    // Whoever can write a record could end the process with it.
    throw new SettingsError(['RAGLINE_FAILPOINTS=on is refused while RAGLINE_ENV is production']);
  }
  return config;
}
