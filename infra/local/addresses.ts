/** Addresses and logins of the parts, by the names that services and tools read; outside ones win over embedded ones. */
import { connectMetricsUrl, connectUrl } from './connect.ts';
import { brokersOf, serviceUsers, superUser } from './kafka.ts';
import type { Plan } from './part.ts';
import { ownerUrl } from './postgres.ts';
import { registryUrl } from './registry.ts';
import { valkeyUrl } from './valkey.ts';

/** The setting with which each part comes from outside. */
export const settingOf = {
  postgres: 'DATABASE_URL',
  kafka: 'KAFKA_BROKERS',
  registry: 'SCHEMA_REGISTRY_URL',
  connect: 'CONNECT_URL',
  valkey: 'REDIS_URL',
} as const;

/** True when this part's address is set, so that no embedded one is started. */
export const outside = (env: NodeJS.ProcessEnv, part: keyof typeof settingOf): boolean =>
  Boolean(env[settingOf[part]]);

export const isPart = (name: string): name is keyof typeof settingOf => Object.hasOwn(settingOf, name);

export type Addresses = ReturnType<typeof addressesOf>;

export function addressesOf(context: Plan) {
  const { secrets, env } = context;
  const databaseUrl = env.DATABASE_URL || ownerUrl(context);
  const as = (role: string, password: string, database?: string): string => {
    const url = new URL(databaseUrl);
    url.username = role;
    url.password = password;
    if (database !== undefined) url.pathname = `/${database}`;
    return url.href;
  };
  const users = serviceUsers(secrets);
  const outsideKafka = outside(env, 'kafka');
  const kafkaPassword = (user: string) => (outsideKafka ? (env.KAFKA_PASSWORD ?? '') : (users[user] ?? ''));
  return {
    DATABASE_URL: databaseUrl,
    DATABASE_URL_RAGLINE_IDENTITY: as('ragline_identity', secrets.postgres_identity),
    DATABASE_URL_RAGLINE_ORDERS: as('ragline_orders', secrets.postgres_orders),
    DATABASE_URL_RAGLINE_NOTIFICATIONS: as('ragline_notifications', secrets.postgres_notifications),
    DATABASE_URL_RAGLINE_DEAD_LETTERS: as('ragline_dead_letters', secrets.postgres_dead_letters),
    DATABASE_URL_RAGLINE_CHAT: as('ragline_chat', secrets.postgres_chat),
    DATABASE_URL_RAGLINE_CDC: as('ragline_cdc', secrets.postgres_cdc),
    DATABASE_URL_RAGLINE_REGISTRY: as('ragline_registry', secrets.postgres_registry, 'registry'),
    KAFKA_BROKERS: env.KAFKA_BROKERS || brokersOf(context),
    KAFKA_SASL_MECHANISM: env.KAFKA_SASL_MECHANISM || 'plain',
    KAFKA_USERNAME: outsideKafka ? (env.KAFKA_USERNAME ?? '') : superUser,
    KAFKA_PASSWORD: outsideKafka ? (env.KAFKA_PASSWORD ?? '') : secrets.kafka,
    KAFKA_PASSWORD_IDENTITY: kafkaPassword('identity'),
    KAFKA_PASSWORD_ORDERS: kafkaPassword('orders'),
    KAFKA_PASSWORD_NOTIFICATIONS: kafkaPassword('notifications'),
    KAFKA_PASSWORD_DEAD_LETTERS: kafkaPassword('dead-letters'),
    KAFKA_PASSWORD_CHAT: kafkaPassword('chat'),
    KAFKA_PASSWORD_CONNECT: kafkaPassword('connect'),
    SCHEMA_REGISTRY_URL: env.SCHEMA_REGISTRY_URL || registryUrl(context),
    CONNECT_URL: env.CONNECT_URL || connectUrl(context),
    CONNECT_METRICS_URL: outside(env, 'connect')
      ? (env.CONNECT_METRICS_URL ?? '')
      : connectMetricsUrl(context),
    REDIS_URL: env.REDIS_URL || valkeyUrl(context),
  };
}
