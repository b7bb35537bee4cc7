/**
 * Starts the parts that RAGline stands on: Postgres, Valkey, Kafka, the schema registry and Connect.
 *
 * A part whose address is set (DATABASE_URL, KAFKA_BROKERS, SCHEMA_REGISTRY_URL, CONNECT_URL, REDIS_URL) is not
 * started; the set one is used in its place.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ensureAcls, type TopicNames } from './acls.ts';
import { connect, connectMetricsUrl, connectUrl } from './connect.ts';
import { StartFailure } from './failure.ts';
import { fetchParts, type PartFiles } from './fetch-parts.ts';
import { brokersOf, kafka, kafkaClient, serviceUsers, superUser } from './kafka.ts';
import type { PartContext } from './part.ts';
import { cacheDirOf } from './paths.ts';
import { choosePort, type PortName, type Ports, usualPorts } from './ports.ts';
import { ensureDatabases, ownerUrl, postgres, query } from './postgres.ts';
import { registry, registryUrl } from './registry.ts';
import { readSecrets, type Secrets } from './secrets.ts';
import {
  type ProcessDefinition,
  type SupervisedProcess,
  type SupervisorEvent,
  supervise,
} from './supervisor.ts';
import { valkey, valkeyUrl } from './valkey.ts';

export type StartPartsOptions = {
  /** Absolute. Everything that is kept lies here, except Postgres's data when run as root. */
  dataDir: string;
  cacheDir?: string;
  /** Wanted ports; one that is taken is replaced. `free`: none of the usual ones is tried. */
  ports?: Partial<Ports> | 'free';
  /** Settings from outside; process.env when not given. */
  env?: NodeJS.ProcessEnv;
  files?: PartFiles;
  topics?: TopicNames;
  onProgress?: (event: PartProgress) => void;
  onEvent?: (event: SupervisorEvent) => void;
};

export type PartProgress =
  | { kind: 'fetching'; part: string; detail: string }
  | { kind: 'port_taken'; name: PortName; wanted: number; port: number }
  | { kind: 'starting'; part: string }
  | { kind: 'ready'; part: string; ms: number; external: boolean };

export type RunningParts = {
  /** Addresses and logins, by the names that services and tools read. */
  env: Record<string, string>;
  parts: SupervisedProcess[];
  ports: Ports;
  secrets: Secrets;
  files: PartFiles | undefined;
  context: PartContext;
  stop(): Promise<void>;
};

/** Resolves when all parts answer. Throws StartFailure; what had started by then is stopped. */
export async function startParts(options: StartPartsOptions): Promise<RunningParts> {
  const { dataDir, env = process.env, onProgress = () => {} } = options;
  const logsDir = path.join(dataDir, 'logs');
  mkdirSync(logsDir, { recursive: true, mode: 0o700 });
  const secrets = readSecrets(dataDir, env.RAGLINE_DEMO_PASSWORD);
  const ports = await choosePorts(options.ports ?? {}, onProgress);
  const files =
    options.files ??
    (await fetchParts({
      cacheDir: options.cacheDir ?? cacheDirOf(env),
      env,
      logFile: path.join(logsDir, 'fetch.log'),
      onProgress: (part, detail = '') => onProgress({ kind: 'fetching', part, detail }),
    }));
  const context: PartContext = { files, dataDir, logsDir, ports, secrets, env };
  const parts: SupervisedProcess[] = [];

  async function start(
    part: string,
    external: string | undefined,
    define: () => ProcessDefinition | Promise<ProcessDefinition>,
  ) {
    const began = performance.now();
    onProgress({ kind: 'starting', part });
    if (external === undefined || external === '') {
      parts.push(
        await supervise(await define(), {
          dataDir,
          ...(options.onEvent ? { onEvent: options.onEvent } : {}),
        }),
      );
    }
    onProgress({ kind: 'ready', part, ms: performance.now() - began, external: Boolean(external) });
  }

  const addresses = addressesOf(context, env);
  const stop = () => stopAll(parts);
  try {
    await settled([
      start('valkey', env.REDIS_URL, () => valkey(context)),
      (async () => {
        await start('postgres', env.DATABASE_URL, () => postgres(context));
        await databases(context, addresses);
        await start('registry', env.SCHEMA_REGISTRY_URL, () =>
          registry(context, addresses.DATABASE_URL_REGISTRY),
        );
      })(),
      (async () => {
        await start('kafka', env.KAFKA_BROKERS, () => kafka(context));
        if (!env.KAFKA_BROKERS) await grantRights(context, options.topics ?? defaultTopics);
        await start('connect', env.CONNECT_URL, () =>
          connect(context, {
            brokers: addresses.KAFKA_BROKERS,
            username: env.KAFKA_BROKERS ? env.KAFKA_USERNAME : 'connect',
            password: addresses.KAFKA_PASSWORD_CONNECT,
          }),
        );
      })(),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { env: addresses, parts, ports, secrets, files, context, stop };
}

/** Waits for all, then throws the first error: nothing is left starting while the caller cleans up. */
async function settled(work: Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Stops in the order of dependence: Connect, then registry, Kafka and Valkey, then Postgres. */
async function stopAll(parts: SupervisedProcess[]): Promise<void> {
  const waves = [['connect'], ['registry', 'kafka', 'valkey'], ['postgres']];
  for (const wave of waves) {
    await Promise.all(parts.filter((part) => wave.includes(part.name)).map((part) => part.stop()));
  }
}

/** Until the map of topics is handed in. */
const defaultTopics: TopicNames = {
  fromOutbox: ['orders.v1', 'catalog.v1', 'notifications.v1', 'identity.revocations.v1'],
  deadLettersOf: { notifications: 'notifications.dlq' },
};

async function choosePorts(
  wanted: Partial<Ports> | 'free',
  onProgress: (event: PartProgress) => void,
): Promise<Ports> {
  const used = new Set<number>();
  const choose = async (name: PortName): Promise<number> => {
    const usual = wanted === 'free' ? undefined : (wanted[name] ?? usualPorts[name]);
    const { port, taken } = await choosePort(usual, used);
    if (taken !== undefined) onProgress({ kind: 'port_taken', name, wanted: taken, port });
    return port;
  };
  return {
    gateway: await choose('gateway'),
    postgres: await choose('postgres'),
    valkey: await choose('valkey'),
    kafka: await choose('kafka'),
    kafka_controller: await choose('kafka_controller'),
    registry: await choose('registry'),
    registry_management: await choose('registry_management'),
    connect: await choose('connect'),
    connect_metrics: await choose('connect_metrics'),
  };
}

type Addresses = ReturnType<typeof addressesOf>;

function addressesOf(context: PartContext, env: NodeJS.ProcessEnv) {
  const { secrets } = context;
  const databaseUrl = env.DATABASE_URL || ownerUrl(context);
  const as = (role: string, password: string, database?: string): string => {
    const url = new URL(databaseUrl);
    url.username = role;
    url.password = password;
    if (database !== undefined) url.pathname = `/${database}`;
    return url.href;
  };
  const users = serviceUsers(secrets);
  const externalKafka = Boolean(env.KAFKA_BROKERS);
  const kafkaPassword = (user: string) => (externalKafka ? (env.KAFKA_PASSWORD ?? '') : (users[user] ?? ''));
  return {
    DATABASE_URL: databaseUrl,
    DATABASE_URL_IDENTITY: as('ragline_identity', secrets.postgres_identity),
    DATABASE_URL_ORDERS: as('ragline_orders', secrets.postgres_orders),
    DATABASE_URL_NOTIFICATIONS: as('ragline_notifications', secrets.postgres_notifications),
    DATABASE_URL_CDC: as('ragline_cdc', secrets.postgres_cdc),
    DATABASE_URL_REGISTRY: as('ragline_registry', secrets.postgres_registry, 'registry'),
    KAFKA_BROKERS: env.KAFKA_BROKERS || brokersOf(context),
    KAFKA_SASL_MECHANISM: env.KAFKA_SASL_MECHANISM || 'plain',
    KAFKA_USERNAME: externalKafka ? (env.KAFKA_USERNAME ?? '') : superUser,
    KAFKA_PASSWORD: externalKafka ? (env.KAFKA_PASSWORD ?? '') : secrets.kafka,
    KAFKA_PASSWORD_IDENTITY: kafkaPassword('identity'),
    KAFKA_PASSWORD_ORDERS: kafkaPassword('orders'),
    KAFKA_PASSWORD_NOTIFICATIONS: kafkaPassword('notifications'),
    KAFKA_PASSWORD_CONNECT: kafkaPassword('connect'),
    SCHEMA_REGISTRY_URL: env.SCHEMA_REGISTRY_URL || registryUrl(context),
    CONNECT_URL: env.CONNECT_URL || connectUrl(context),
    CONNECT_METRICS_URL: env.CONNECT_METRICS_URL || (env.CONNECT_URL ? '' : connectMetricsUrl(context)),
    REDIS_URL: env.REDIS_URL || valkeyUrl(context),
  };
}

async function databases(context: PartContext, addresses: Addresses): Promise<void> {
  try {
    await ensureDatabases(addresses.DATABASE_URL, context.secrets.postgres_registry);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const lost = /password authentication failed/.test(reason);
    throw new StartFailure('postgres', `The databases could not be prepared: ${reason}`, {
      cause: error,
      logFile: path.join(context.logsDir, 'postgres.log'),
      mend: lost
        ? 'npm start -- --reset    (the password in secrets.json is not this data folder’s)'
        : 'npx ragline doctor',
    });
  }
}

async function grantRights(context: PartContext, topics: TopicNames): Promise<void> {
  await ensureAcls(kafkaClient(brokersOf(context), superUser, context.secrets.kafka), topics);
}

/** Makes the service roles with their passwords. A stand-in until packages/postgres has ensureRoles. */
export async function ensureServiceRoles(databaseUrl: string, secrets: Secrets): Promise<void> {
  const roles = {
    ragline_identity: secrets.postgres_identity,
    ragline_orders: secrets.postgres_orders,
    ragline_notifications: secrets.postgres_notifications,
    ragline_cdc: secrets.postgres_cdc,
  };
  for (const [role, password] of Object.entries(roles)) {
    const more = role === 'ragline_cdc' ? ' replication' : '';
    await query(
      databaseUrl,
      `do $$ begin
         if not exists (select from pg_roles where rolname = '${role}') then create role ${role}; end if;
       end $$;
       alter role ${role} login${more} password '${password}'`,
    );
  }
}
