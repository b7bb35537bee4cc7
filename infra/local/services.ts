/** RAGline's own services as supervised processes: their settings, their readiness, their health. */
import path from 'node:path';
import type { Addresses } from './addresses.ts';
import type { Instance, ServiceName } from './instances.ts';
import { cacheDirOf, checkoutDir, modelFolderOf, partsDirOf } from './layout.mjs';
import { expectOk, host } from './part.ts';
import type { Secrets } from './secrets.ts';
import type { ProcessDefinition } from './supervisor.ts';

export type ServiceContext = {
  addresses: Addresses;
  secrets: Secrets;
  instances: readonly Instance[];
  /** Holds the embedding model that was fetched; none before it is, or when another is set. */
  modelDir?: string | undefined;
  /** Settings of the person, handed on: any setting of any service may be set for all of them. */
  env: NodeJS.ProcessEnv;
  dataDir: string;
  logsDir: string;
};

/** These would change how Node runs, or who a service is. */
const notHandedOn = [
  'NODE_OPTIONS',
  'NODE_V8_COVERAGE',
  'PORT',
  'INSTANCE',
  'DATABASE_URL',
  'KAFKA_USERNAME',
  'KAFKA_PASSWORD',
];

/** What one service alone is told, or a few: the more processes know a secret, the more can lose it. */
const onlyFor: Record<string, readonly ServiceName[]> = {
  OPENAI_API_KEY: ['chat'],
  DELEGATION_SECRET: ['identity', 'chat'],
  WEBHOOK_KEYS: ['notifications'],
};

/** What a service is started with: the person's settings, then what only the start knows. */
export function settingsOf(instance: Instance, context: ServiceContext): Record<string, string> {
  const { env } = context;
  const kept = Object.entries(env).filter(
    ([name]) => !notHandedOn.includes(name) && (onlyFor[name]?.includes(instance.service) ?? true),
  );
  const inherited: Record<string, string> = {};
  for (const [name, value] of kept) if (value !== undefined) inherited[name] = value;
  return {
    ...inherited,
    RAGLINE_ENV: env.RAGLINE_ENV || 'development',
    RAGLINE_FAILPOINTS: failpointsOf(env),
    HOST: host,
    PORT: String(instance.port),
    INSTANCE: instance.name,
    STOP_WITHIN_MS: env.STOP_WITHIN_MS || '5000',
    TOKEN_ISSUER: env.TOKEN_ISSUER || 'ragline',
    TOKEN_AUDIENCE: env.TOKEN_AUDIENCE || 'ragline',
    JWKS_URL: env.JWKS_URL || `${urlOf(context, 'identity')}/.well-known/jwks.json`,
    ...ownSettings(instance, context),
  };
}

function ownSettings(instance: Instance, context: ServiceContext): Record<string, string> {
  const { addresses, secrets, env } = context;
  const shared = {
    SCHEMA_REGISTRY_URL: addresses.SCHEMA_REGISTRY_URL,
    REDIS_URL: addresses.REDIS_URL,
    KAFKA_BROKERS: addresses.KAFKA_BROKERS,
    KAFKA_SASL_MECHANISM: addresses.KAFKA_SASL_MECHANISM,
  };
  const kafkaUser = (name: string, password: string) => ({
    ...shared,
    KAFKA_USERNAME: env.KAFKA_BROKERS ? addresses.KAFKA_USERNAME : name,
    KAFKA_PASSWORD: password,
  });
  const delegationSecret = env.DELEGATION_SECRET || secrets.delegation;
  const cursorKeys = env.CURSOR_KEYS || `1:${secrets.cursor}`;
  const byService: Record<ServiceName, () => Record<string, string>> = {
    identity: () => ({
      ...kafkaUser('identity', addresses.KAFKA_PASSWORD_IDENTITY),
      DATABASE_URL: addresses.DATABASE_URL_RAGLINE_IDENTITY,
      KEY_ENCRYPTION_SECRET: env.KEY_ENCRYPTION_SECRET || secrets.key_encryption,
      DELEGATION_SECRET: delegationSecret,
    }),
    orders: () => ({
      ...kafkaUser('orders', addresses.KAFKA_PASSWORD_ORDERS),
      DATABASE_URL: addresses.DATABASE_URL_RAGLINE_ORDERS,
      CURSOR_KEYS: cursorKeys,
      QUOTE_SECRET: env.QUOTE_SECRET || secrets.quote,
      REPLICATION_SLOT: env.REPLICATION_SLOT || 'ragline_outbox',
    }),
    notifications: () => ({
      ...kafkaUser('notifications', addresses.KAFKA_PASSWORD_NOTIFICATIONS),
      DATABASE_URL: addresses.DATABASE_URL_RAGLINE_NOTIFICATIONS,
      CURSOR_KEYS: cursorKeys,
      IDENTITY_URL: urlOf(context, 'identity'),
      ORDERS_URL: urlOf(context, 'orders'),
      CHAT_URL: urlOf(context, 'chat'),
      ALLOWED_ORIGINS: originsOf(context),
      WEBHOOK_KEYS: env.WEBHOOK_KEYS || `1:${secrets.webhook}`,
    }),
    'dead-letters': () => ({
      ...kafkaUser('dead-letters', addresses.KAFKA_PASSWORD_DEAD_LETTERS),
      DATABASE_URL: addresses.DATABASE_URL_RAGLINE_DEAD_LETTERS,
    }),
    chat: () => ({
      ...kafkaUser('chat', addresses.KAFKA_PASSWORD_CHAT),
      DATABASE_URL: addresses.DATABASE_URL_RAGLINE_CHAT,
      CURSOR_KEYS: cursorKeys,
      DELEGATION_SECRET: delegationSecret,
      IDENTITY_URL: urlOf(context, 'identity'),
      ORDERS_URLS: urlsOf(context, 'orders').join(','),
      ALLOWED_ORIGINS: originsOf(context),
      EMBEDDING_MODEL_DIR:
        env.EMBEDDING_MODEL_DIR || context.modelDir || modelFolderOf(partsDirOf(cacheDirOf(env))),
    }),
    gateway: () => ({
      METRICS_PORT: String(instance.metricsPort ?? 0),
      IDENTITY_URLS: urlsOf(context, 'identity').join(','),
      ORDERS_URLS: urlsOf(context, 'orders').join(','),
      NOTIFICATIONS_URLS: urlsOf(context, 'notifications').join(','),
      DEAD_LETTERS_URLS: urlsOf(context, 'dead-letters').join(','),
      CHAT_URLS: urlsOf(context, 'chat').join(','),
      ...sentinel(context),
      REDIS_URL: addresses.REDIS_URL,
    }),
  };
  return byService[instance.service]();
}

/** Off in production, whatever is not refused before; on elsewhere, so that `ragline demo poison` works. */
export function failpointsOf(env: NodeJS.ProcessEnv): string {
  return env.RAGLINE_FAILPOINTS || (env.RAGLINE_ENV === 'production' ? 'off' : 'on');
}

/** In production there are no sample users: whoever wants the sentinel makes its users, and sets their password. */
function sentinel({ env, secrets }: ServiceContext): Record<string, string> {
  const password = env.RAGLINE_ENV === 'production' ? env.SENTINEL_PASSWORD : secrets.sentinel;
  return password ? { SENTINEL_PASSWORD: password } : {};
}

/** The first instance's address. */
const urlOf = (context: ServiceContext, service: ServiceName): string => urlsOf(context, service)[0] ?? '';

export function urlsOf({ instances }: Pick<ServiceContext, 'instances'>, service: ServiceName): string[] {
  return instances.filter((it) => it.service === service).map((it) => `http://${host}:${it.port}`);
}

/** Pages of the gateway's own origin, by both names of this machine, and those that the person adds. */
function originsOf({ instances, env }: ServiceContext): string {
  const port = instances.find((it) => it.service === 'gateway')?.port ?? 8080;
  const own = [`http://localhost:${port}`, `http://${host}:${port}`];
  const more = [env.PUBLIC_URL, env.ALLOWED_ORIGINS].filter((it) => it !== undefined && it !== '');
  return [...own, ...more].join(',');
}

/**
 * Connections come in storms, and what is thrown away in one makes V8's young generation grow to 128 MiB and stay
 * there: at 10,000 sockets nearly as much as the sockets themselves.
 */
const nodeOptions: Partial<Record<ServiceName, string[]>> = {
  notifications: ['--max-semi-space-size=16'],
};

export function service(instance: Instance, context: ServiceContext): ProcessDefinition {
  const origin = `http://${host}:${instance.port}`;
  return {
    name: instance.name,
    logFile: path.join(context.logsDir, `${instance.name}.log`),
    command: () => ({
      file: process.execPath,
      args: [
        ...(nodeOptions[instance.service] ?? []),
        path.join(checkoutDir, 'services', instance.service, 'src', 'main.ts'),
      ],
      env: settingsOf(instance, context),
      cwd: checkoutDir,
    }),
    ready: () => expectOk(`${origin}/readyz`),
    readyWithinMs: 60_000,
    healthy: (signal) => expectOk(`${origin}/healthz`, undefined, signal),
    stopWithinMs: 8_000,
  };
}
