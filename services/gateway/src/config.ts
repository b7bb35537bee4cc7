import { readSettings } from '@ragline/runtime/settings';

export type Config = ReturnType<typeof readConfig>;

/** Settings of the gateway; docs/services/gateway.md has them as a table. */
export function readConfig(env: NodeJS.ProcessEnv) {
  return readSettings(env, (read) => ({
    environment: read.choice('RAGLINE_ENV', ['development', 'production'], 'development'),
    logLevel: read.choice('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    instance: read.string('INSTANCE', 'gateway-1'),
    host: read.string('HOST', '127.0.0.1'),
    port: read.integer('PORT', 8080, { min: 0, max: 65_535 }),
    // Metrics have a port of their own: everything on the public port can be reached by anyone.
    metricsHost: read.string('METRICS_HOST', '127.0.0.1'),
    metricsPort: read.optional('METRICS_PORT') === undefined ? undefined : read.integer('METRICS_PORT', 0),
    publicUrl: read.optional('PUBLIC_URL'),
    stopWithinMs: read.integer('STOP_WITHIN_MS', 10_000, { min: 0 }),
    upstreams: {
      identity: read.list('IDENTITY_URLS'),
      orders: read.list('ORDERS_URLS'),
      notifications: read.list('NOTIFICATIONS_URLS'),
      'dead-letters': read.list('DEAD_LETTERS_URLS'),
      chat: read.list('CHAT_URLS'),
    },
    tokenIssuer: read.string('TOKEN_ISSUER', 'ragline'),
    tokenAudience: read.string('TOKEN_AUDIENCE', 'ragline'),
    redisUrl: read.optional('REDIS_URL'),
    otlpEndpoint: read.optional('OTEL_EXPORTER_OTLP_ENDPOINT'),
    pollEveryMs: read.integer('READY_POLL_MS', 500, { min: 50 }),
    upstreamTimeoutMs: read.integer('UPSTREAM_TIMEOUT_MS', 30_000, { min: 100 }),
    // Longer than the assistant takes for an answer that it is asked to give at once.
    answerTimeoutMs: read.integer('ANSWER_TIMEOUT_MS', 180_000, { min: 100 }),
    streamHoldMs: read.integer('STREAM_HOLD_MS', 30_000, { min: 0 }),
    bodyMaxBytes: read.integer('BODY_MAX_BYTES', 1_048_576, { min: 1 }),
    bodyTimeoutMs: read.integer('BODY_TIMEOUT_MS', 20_000, { min: 100 }),
    bodiesMaxBytes: read.integer('BODIES_MAX_BYTES', 134_217_728, { min: 1 }),
    headersTimeoutMs: read.integer('HEADERS_TIMEOUT_MS', 10_000, { min: 100 }),
    headersMaxBytes: read.integer('HEADERS_MAX_BYTES', 16_384, { min: 1_024 }),
    connectionsMax: read.integer('CONNECTIONS_MAX', 30_000, { min: 1 }),
    rateLimits: read.choice('RAGLINE_RATE_LIMITS', ['on', 'off'], 'on') === 'on',
    // Requests in ten seconds. An office behind one address shares the first.
    rateLimitAddress: read.integer('RATE_LIMIT_ADDRESS_PER_10S', 2_000, { min: 1 }),
    rateLimitTenant: read.integer('RATE_LIMIT_TENANT_PER_10S', 20_000, { min: 1 }),
    sentinel: {
      password: read.optional('SENTINEL_PASSWORD'),
      everyMs: read.integer('SENTINEL_INTERVAL_MS', 10_000, { min: 100 }),
      lateAfterMs: read.integer('SENTINEL_LATE_AFTER_MS', 30_000, { min: 200 }),
    },
  }));
}
