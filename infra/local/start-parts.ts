/**
 * Starts the parts that RAGline stands on: Postgres, Valkey, Kafka, the schema registry and Connect.
 *
 * A part whose address is set (DATABASE_URL, KAFKA_BROKERS, SCHEMA_REGISTRY_URL, CONNECT_URL, REDIS_URL) is not
 * started; the set one is used in its place.
 */
import path from 'node:path';
import { ensureDatabase, ensureRoles } from '@ragline/postgres/roles';
import { makeTopics } from '@ragline/streams/make-topics';
import { ensureAcls, topicNames } from './acls.ts';
import { type Addresses, addressesOf, outside } from './addresses.ts';
import { connect, connectTopics } from './connect.ts';
import { StartFailure } from './failure.ts';
import type { Flow } from './flow.ts';
import { kafka, kafkaClient } from './kafka.ts';
import type { PartContext } from './part.ts';
import { ensureMainDatabase, postgres } from './postgres.ts';
import type { Progress } from './progress.ts';
import { registry } from './registry.ts';
import {
  type ProcessDefinition,
  type SupervisedProcess,
  type SupervisorOptions,
  supervise,
} from './supervisor.ts';
import { valkey } from './valkey.ts';

export type PartName = 'postgres' | 'valkey' | 'kafka' | 'registry' | 'connect';

/** Settled when the part answers; `databases` when roles and databases are there too, `rights` when Kafka's users may work. */
export type StartingParts = Record<PartName | 'databases' | 'rights', Promise<void>>;

/** Begins to start the parts, each as soon as what it needs answers, and adds them to `processes`. Failures are the flow's. */
export function startParts(
  flow: Flow,
  context: PartContext,
  supervision: SupervisorOptions,
  onProgress: Progress,
  processes: SupervisedProcess[],
): StartingParts {
  const { env } = context;
  const addresses = addressesOf(context);

  const begin = (
    part: PartName,
    needs: Promise<unknown>[],
    define: () => ProcessDefinition | Promise<ProcessDefinition>,
  ): Promise<void> =>
    flow.step(needs, async () => {
      if (outside(env, part)) return onProgress({ stage: 'starting', item: part, state: 'outside' });
      const began = performance.now();
      onProgress({ stage: 'starting', item: part, state: 'begun' });
      processes.push(await supervise(await define(), { ...supervision, signal: flow.signal }));
      onProgress({ stage: 'starting', item: part, state: 'done', ms: performance.now() - began });
    });

  const started = {
    valkey: begin('valkey', [], () => valkey(context)),
    postgres: begin('postgres', [], () => postgres(context)),
    kafka: begin('kafka', [], () => kafka(context)),
  };
  const databases = flow.step([started.postgres], () => prepareDatabases(context, addresses));
  const rights = flow.step([started.kafka], () => grantRights(context, addresses));
  const registryUrl = addresses.DATABASE_URL_RAGLINE_REGISTRY;
  return {
    ...started,
    databases,
    rights,
    registry: begin('registry', [databases], () => registry(context, registryUrl)),
    connect: begin('connect', [rights], () =>
      connect(context, {
        brokers: addresses.KAFKA_BROKERS,
        username: outside(env, 'kafka') ? env.KAFKA_USERNAME : 'connect',
        password: addresses.KAFKA_PASSWORD_CONNECT,
      }),
    ),
  };
}

/** Stops in the order of dependence: Connect, then registry, Kafka and Valkey, then Postgres. */
export async function stopParts(processes: readonly SupervisedProcess[]): Promise<void> {
  for (const wave of [['connect'], ['registry', 'kafka', 'valkey'], ['postgres']]) {
    await Promise.all(processes.filter(({ name }) => wave.includes(name)).map((part) => part.stop()));
  }
}

async function prepareDatabases(context: PartContext, addresses: Addresses): Promise<void> {
  const { secrets } = context;
  const databaseUrl = addresses.DATABASE_URL;
  try {
    await ensureMainDatabase(databaseUrl);
    await ensureRoles({
      databaseUrl,
      passwords: {
        ragline_identity: secrets.postgres_identity,
        ragline_orders: secrets.postgres_orders,
        ragline_notifications: secrets.postgres_notifications,
        ragline_dead_letters: secrets.postgres_dead_letters,
        ragline_chat: secrets.postgres_chat,
        ragline_cdc: secrets.postgres_cdc,
        ragline_registry: secrets.postgres_registry,
      },
    });
    await ensureDatabase({ databaseUrl, name: 'registry', owner: 'ragline_registry' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const lost = /password authentication failed/.test(reason) && !outside(context.env, 'postgres');
    throw new StartFailure('postgres', `The databases could not be prepared: ${reason}`, {
      cause: error,
      logFile: path.join(context.logsDir, 'postgres.log'),
      mend: lost
        ? 'npm start -- --reset    (secrets.json does not belong to this data)'
        : 'npm start    (again, once DATABASE_URL names a server that answers and an account that may create roles)',
    });
  }
}

/** On a Kafka of the person's own, rights are that person's business. */
async function grantRights(context: PartContext, addresses: Addresses): Promise<void> {
  if (outside(context.env, 'kafka')) return;
  const { KAFKA_BROKERS: brokers, KAFKA_USERNAME: user, KAFKA_PASSWORD: password } = addresses;
  const client = kafkaClient(brokers, user, password);
  await ensureAcls(client, topicNames());
  await makeConnectTopics(client);
}

/**
 * Connect makes them too, and ends when a busy broker does not know them at once; so they are there before it starts.
 * https://kafka.apache.org/documentation/#connect_running: compacted, the first of one partition.
 */
async function makeConnectTopics(client: ReturnType<typeof kafkaClient>): Promise<void> {
  const admin = client.admin();
  await admin.connect();
  try {
    const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
    await makeTopics(
      admin,
      connectTopics.map((topic) => ({ topic, numPartitions: 1, replicationFactor: 1, configEntries })),
    );
  } finally {
    await admin.disconnect();
  }
}
