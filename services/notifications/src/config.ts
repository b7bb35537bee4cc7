/** Settings of the notifications service. */
import { type LogLevel, logLevels } from '@ragline/runtime/logger';
import { readSettings, SettingsError } from '@ragline/runtime/settings';
import { usualFloodLimits } from '@ragline/streams/retry/flood-guard';
import { delayMsMax, usualDelaysMs } from '@ragline/streams/retry/names';
import { readWebhookSettings, webhookFaults } from './webhooks/settings.ts';

export type Config = ReturnType<typeof readConfig>;

/** Throws SettingsError naming every faulty setting. */
export function readConfig(environment: NodeJS.ProcessEnv) {
  const config = readSettings(environment, (env) => ({
    production: env.choice('RAGLINE_ENV', ['development', 'production'], 'development') === 'production',
    logLevel: env.choice<LogLevel>('LOG_LEVEL', logLevels, 'info'),
    host: env.string('HOST', '127.0.0.1'),
    port: env.integer('PORT', 8083, { min: 0, max: 65_535 }),
    instance: env.string('INSTANCE', 'notifications-1'),
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
    jwksUrl: env.url('JWKS_URL'),
    tokenIssuer: env.string('TOKEN_ISSUER', 'ragline'),
    tokenAudience: env.string('TOKEN_AUDIENCE', 'ragline'),
    identityUrl: env.url('IDENTITY_URL'),
    /** Asked who owns an order, when a customer subscribes to one. */
    ordersUrl: env.optional('ORDERS_URL'),
    /** Asked whose a conversation is. */
    chatUrl: env.optional('CHAT_URL'),
    cursorKeys: env.secret('CURSOR_KEYS'),
    allowedOrigins: env.list('ALLOWED_ORIGINS', ['http://localhost:8080', 'http://127.0.0.1:8080']),
    rateLimits: env.choice('RAGLINE_RATE_LIMITS', ['on', 'off'], 'on') === 'on',
    /** Waits before the second attempt at an event, the third, and so on. */
    retryDelaysMs: env.integers('RETRY_DELAYS_MS', usualDelaysMs, { min: 1, max: delayMsMax }),
    floodGuard: env.choice('FLOOD_GUARD', ['on', 'off'], 'on') === 'on' && {
      share: env.integer('FLOOD_SHARE_PERCENT', usualFloodLimits.share * 100, { min: 1, max: 100 }) / 100,
      windowMs: env.integer('FLOOD_WINDOW_MS', usualFloodLimits.windowMs, { min: 100 }),
      least: env.integer('FLOOD_LEAST', usualFloodLimits.least, { min: 1 }),
    },
    failpoints: env.choice('RAGLINE_FAILPOINTS', ['on', 'off'], 'off') === 'on',
    webhooks: readWebhookSettings(env),
    otlpEndpoint: env.optional('OTEL_EXPORTER_OTLP_ENDPOINT'),
  }));
  if (config.production && config.failpoints) {
    // Whoever can write a record could end the process with it.
    throw new SettingsError(['RAGLINE_FAILPOINTS=on is refused while RAGLINE_ENV is production']);
  }
  const faults = webhookFaults(config.webhooks, config.production);
  if (faults.length > 0) throw new SettingsError(faults);
  return config;
}
