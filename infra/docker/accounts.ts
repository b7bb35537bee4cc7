/**
 * Before registry, Connect and services can log in: the roles of Postgres, the registry's database, the rights on Kafka.
 * Safe to repeat.
 *
 *   node infra/docker/accounts.ts
 */
import { ensureDatabase, ensureRoles, type RoleName } from '@ragline/postgres/roles';
import { readSettings } from '@ragline/runtime/settings';
import { ensureAcls, topicNames } from '../local/acls.ts';
import { kafkaClient } from '../local/kafka.ts';

const settings = readSettings(process.env, (env) => ({
  databaseUrl: env.url('DATABASE_URL'),
  brokers: env.string('KAFKA_BROKERS'),
  username: env.string('KAFKA_USERNAME'),
  password: env.secret('KAFKA_PASSWORD'),
  passwords: {
    ragline_identity: env.secret('POSTGRES_PASSWORD_IDENTITY'),
    ragline_orders: env.secret('POSTGRES_PASSWORD_ORDERS'),
    ragline_notifications: env.secret('POSTGRES_PASSWORD_NOTIFICATIONS'),
    ragline_dead_letters: env.secret('POSTGRES_PASSWORD_DEAD_LETTERS'),
    ragline_chat: env.secret('POSTGRES_PASSWORD_CHAT'),
    ragline_cdc: env.secret('POSTGRES_PASSWORD_CDC'),
    ragline_registry: env.secret('POSTGRES_PASSWORD_REGISTRY'),
  } satisfies Record<RoleName, string>,
}));
const { databaseUrl, passwords } = settings;

await ensureRoles({ databaseUrl, passwords });
await ensureDatabase({ databaseUrl, name: 'registry', owner: 'ragline_registry' });
await ensureAcls(kafkaClient(settings.brokers, settings.username, settings.password), topicNames());
