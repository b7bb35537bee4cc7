/** Settings of orders, read once. */
import { readSettings } from '@ragline/runtime/settings';

export type Config = ReturnType<typeof readConfig>;

/** Throws SettingsError naming every setting that is missing or wrong. */
export function readConfig(environment: NodeJS.ProcessEnv) {
  return readSettings(environment, (env) => ({
    logLevel: env.choice('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    instance: env.string('INSTANCE', 'orders-1'),
    host: env.string('HOST', '127.0.0.1'),
    port: env.integer('PORT', 8102, { max: 65_535 }),
    stopWithinMs: env.integer('STOP_WITHIN_MS', 10_000, { min: 100 }),
    databaseUrl: env.url('DATABASE_URL'),
    // An order holds one for a single statement: more of them only move the queue into Postgres.
    databasePool: env.integer('DATABASE_POOL', 16, { min: 1, max: 200 }),
    registryUrl: env.url('SCHEMA_REGISTRY_URL'),
    kafka: {
      brokers: env.list('KAFKA_BROKERS'),
      username: env.optional('KAFKA_USERNAME'),
      password: env.optional('KAFKA_PASSWORD'),
      saslMechanism: env.string('KAFKA_SASL_MECHANISM', 'plain'),
    },
    // Without it the catalogue is cached in each process alone, and stays as correct.
    redisUrl: env.optional('REDIS_URL'),
    jwksUrl: env.url('JWKS_URL'),
    issuer: env.string('TOKEN_ISSUER', 'ragline'),
    audience: env.string('TOKEN_AUDIENCE', 'ragline'),
    cursorKeys: env.secret('CURSOR_KEYS'),
    quoteSecret: env.secret('QUOTE_SECRET'),
    replicationSlot: env.string('REPLICATION_SLOT', 'ragline_outbox'),
    tracesEndpoint: env.optional('OTEL_EXPORTER_OTLP_ENDPOINT'),
  }));
}

/** A quote is a promise of a price: who could guess the secret could make one. */
const secretLengthMin = 32;

/** Judges what no single setting shows; the faults, as readSettings words them. */
export function configFaults(config: Config): string[] {
  if (config.quoteSecret.length >= secretLengthMin) return [];
  return [`QUOTE_SECRET must have at least ${secretLengthMin} characters`];
}
