/** Settings of identity, read once. */
import { readSettings } from '@ragline/runtime/settings';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export type Config = ReturnType<typeof readConfig>;

/** Throws SettingsError naming every setting that is missing or wrong. */
export function readConfig(environment: NodeJS.ProcessEnv) {
  return readSettings(environment, (env) => ({
    production: env.choice('RAGLINE_ENV', ['development', 'production'], 'development') === 'production',
    logLevel: env.choice('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    instance: env.string('INSTANCE', 'identity-1'),
    host: env.string('HOST', '127.0.0.1'),
    port: env.integer('PORT', 8101, { max: 65_535 }),
    stopWithinMs: env.integer('STOP_WITHIN_MS', 10_000, { min: 100 }),
    databaseUrl: env.url('DATABASE_URL'),
    databasePool: env.integer('DATABASE_POOL', 10, { min: 1, max: 200 }),
    registryUrl: env.url('SCHEMA_REGISTRY_URL'),
    redisUrl: env.optional('REDIS_URL'),
    tracesEndpoint: env.optional('OTEL_EXPORTER_OTLP_ENDPOINT'),
    issuer: env.string('TOKEN_ISSUER', 'ragline'),
    audience: env.string('TOKEN_AUDIENCE', 'ragline'),
    keyEncryptionSecret: env.secret('KEY_ENCRYPTION_SECRET'),
    /** With it the assistant is given tokens of the users it acts for; without it nobody is. */
    delegationSecret: env.optional('DELEGATION_SECRET'),
    // Whose X-Forwarded-For is believed; in Express's words, or addresses and networks.
    trustedProxies: env.list('TRUSTED_PROXIES', ['loopback']),
    keys: {
      lifetimeMs: env.integer('SIGNING_KEY_LIFETIME_MS', 30 * dayMs, { min: 1_000 }),
      leadMs: env.integer('SIGNING_KEY_LEAD_MS', hourMs, { min: 500 }),
      refreshMs: env.integer('SIGNING_KEY_REFRESH_MS', 30_000, { min: 50, max: hourMs }),
    },
    sessions: {
      refreshTokenMs: env.integer('REFRESH_TOKEN_MS', 7 * dayMs, { min: minuteMs }),
      sessionMs: env.integer('SESSION_MS', 30 * dayMs, { min: minuteMs }),
    },
    passwordHashesAtOnce: env.integer('PASSWORD_HASHES_AT_ONCE', 2, { min: 1, max: 64 }),
    passwordHashesWaiting: env.integer('PASSWORD_HASHES_WAITING', 100, { max: 10_000 }),
    loginLimits: {
      enabled: env.boolean('RAGLINE_RATE_LIMITS', true),
      failuresPerAccountAndAddress: env.integer('LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS', 10, { min: 1 }),
      failuresPerAccount: env.integer('LOGIN_FAILURES_PER_ACCOUNT', 50, { min: 1 }),
      failuresPerAddress: env.integer('LOGIN_FAILURES_PER_ADDRESS', 200, { min: 1 }),
      windowSeconds: env.integer('LOGIN_FAILURES_WINDOW_S', 900, { min: 1 }),
    },
  }));
}

/** Shorter ones can be guessed by whoever has a copy of the database. */
export const secretLengthMin = 32;

/** Judges what no single setting shows; the faults, as readSettings words them. */
export function configFaults(config: Config): string[] {
  const faults: string[] = [];
  if (config.keyEncryptionSecret.length < secretLengthMin) {
    faults.push(`KEY_ENCRYPTION_SECRET must have at least ${secretLengthMin} characters`);
  }
  if (config.delegationSecret !== undefined && config.delegationSecret.length < secretLengthMin) {
    faults.push(`DELEGATION_SECRET must have at least ${secretLengthMin} characters`);
  }
  if (config.keys.refreshMs * 2 > config.keys.leadMs) {
    faults.push('SIGNING_KEY_LEAD_MS must be at least twice SIGNING_KEY_REFRESH_MS');
  }
  if (config.keys.lifetimeMs < config.keys.leadMs) {
    faults.push('SIGNING_KEY_LIFETIME_MS must be at least SIGNING_KEY_LEAD_MS');
  }
  return faults;
}
