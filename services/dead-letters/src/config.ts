/** Settings of the dead-letters service. */
import { type LogLevel, logLevels } from '@ragline/runtime/logger';
import { readSettings, SettingsError } from '@ragline/runtime/settings';
import { targetFaults, targetFrom } from './alert-messages.ts';
import { sensitiveHeaders } from './letter-view.ts';

export type Config = ReturnType<typeof readConfig>;

/** Throws SettingsError naming every faulty setting. */
export function readConfig(environment: NodeJS.ProcessEnv) {
  const config = readSettings(environment, (env) => ({
    logLevel: env.choice<LogLevel>('LOG_LEVEL', logLevels, 'info'),
    host: env.string('HOST', '127.0.0.1'),
    port: env.integer('PORT', 8104, { min: 0, max: 65_535 }),
    instance: env.string('INSTANCE', 'dead-letters-1'),
    stopWithinMs: env.integer('STOP_WITHIN_MS', 10_000, { min: 1_000 }),
    databaseUrl: env.url('DATABASE_URL'),
    databasePool: env.integer('DATABASE_POOL', 10, { min: 2, max: 100 }),
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
    editing: env.choice('EDITING', ['on', 'off'], 'on') === 'on',
    letterRetentionDays: env.integer('LETTER_RETENTION_DAYS', 90, { min: 1, max: 3_650 }),
    /** Topics beside `*.dlq` that others write dead letters to. */
    foreignTopics: env.list('FOREIGN_DEAD_LETTER_TOPICS', []),
    /** `group=topic`: where letters of groups that are not RAGline's are sent when they are replayed. */
    foreignReplayTopics: env.list('FOREIGN_REPLAY_TOPICS', []),
    discoverEveryMs: env.integer('DISCOVER_EVERY_MS', 30_000, { min: 100 }),
    sensitiveHeaders: env.list('SENSITIVE_HEADERS', sensitiveHeaders),
    alertUrl: env.optional('ALERT_URL'),
    alertSecret: env.optional('ALERT_SECRET'),
    otlpEndpoint: env.optional('OTEL_EXPORTER_OTLP_ENDPOINT'),
  }));
  const faults = configFaults(config);
  if (faults.length > 0) throw new SettingsError(faults);
  return {
    ...config,
    foreignReplayTopics: replayTopicsFrom(config.foreignReplayTopics),
    alertTarget: targetFrom({ url: config.alertUrl, secret: config.alertSecret }),
  };
}

type Judged = {
  foreignReplayTopics: string[];
  alertUrl: string | undefined;
  alertSecret: string | undefined;
};

function configFaults({ foreignReplayTopics, alertUrl, alertSecret }: Judged): string[] {
  const odd = foreignReplayTopics.filter((entry) => !/^[^=]+=[\w.-]{1,249}$/.test(entry));
  return [
    ...odd.map((entry) => `FOREIGN_REPLAY_TOPICS has entries like group=topic, not ${JSON.stringify(entry)}`),
    ...targetFaults({ url: alertUrl, secret: alertSecret }),
  ];
}

function replayTopicsFrom(entries: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    entries.map((entry) => {
      const at = entry.lastIndexOf('=');
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}
