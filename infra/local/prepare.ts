/** Makes running parts fit for the services: tables, slot, topics, schemas, connector. Every step is safe to repeat. */
import { listMigrations, migrate } from '@ragline/postgres/migrate';
import { ensureSlot } from '@ragline/postgres/slot';
import { createLogger } from '@ragline/runtime/logger';
import { registerSchemas } from '@ragline/schemas/register';
import { allTopics } from '@ragline/schemas/topics';
import { applyConnector, connectorName } from '../../tools/src/parts/apply-connector.ts';
import { applyTopics } from '../../tools/src/parts/apply-topics.ts';
import { holdConnector, untilConnectAnswers } from '../../tools/src/streams/rebuild/connector.ts';
import { beginTopicsAt } from '../../tools/src/streams/rebuild/positions.ts';
import type { Addresses } from './addresses.ts';
import type { Flow } from './flow.ts';
import { kafkaClient } from './kafka.ts';
import { accessOf, bringBackLost, isAnythingLost, refuseRestored } from './lost-events.ts';
import { type Progress, shown } from './progress.ts';
import type { StartingParts } from './start-parts.ts';

export type Prepared = Record<'migrated' | 'topics' | 'schemas' | 'lost' | 'connector', Promise<unknown>>;

/**
 * Begins each step as soon as what it needs is there.
 *
 * @param mending leaves the slot as it is, and stops the connector, which Connect starts by itself
 */
export function prepare(
  flow: Flow,
  ready: StartingParts,
  addresses: Addresses,
  onProgress: Progress,
  mending = false,
): Prepared {
  const show = <T>(item: string, run: () => Promise<T>, textOf: (result: T) => string) =>
    shown(onProgress, 'preparing', item, run, textOf);

  const migrated = flow.step([ready.databases], () =>
    show(
      'migrations',
      () => migrateAll(addresses.DATABASE_URL, mending),
      (count) => `${count} migrations`,
    ),
  );
  const topics = flow.step([ready.kafka], () =>
    show(
      'topics',
      () => makeTopics(addresses),
      (made) => `${made.length} topics`,
    ),
  );
  const schemas = flow.step([ready.registry], () =>
    show(
      'schemas',
      () => registerSchemas({ registryUrl: addresses.SCHEMA_REGISTRY_URL }),
      (registered) => `${registered.length} schemas`,
    ),
  );
  const places = flow.step([migrated, topics], () => beginTopics(addresses));
  const lost = flow.step([places], () => !mending && isAnythingLost(addresses));
  const connector = mending
    ? flow.step([ready.connect], () =>
        show(
          'connector',
          () => stopConnector(addresses),
          () => 'connector stopped',
        ),
      )
    : flow.step([ready.connect, lost], async () => {
        await refuseRestored(addresses);
        if (await lost) await bringBackLost(addresses, onProgress, flow.signal);
        await show(
          'connector',
          () => startConnector(addresses),
          () => 'connector RUNNING',
        );
      });
  return { migrated, topics, schemas, lost, connector };
}

/** The slot is made with the tables, before any service can write: the connector reads from where it begins. */
async function migrateAll(databaseUrl: string, mending: boolean): Promise<number> {
  await migrate({ databaseUrl, log: createLogger({ service: 'ragline', level: 'error' }) });
  // It may be what is to be mended.
  if (!mending) await ensureSlot({ databaseUrl });
  return (await listMigrations()).length;
}

/** Before the connector writes: a Kafka that came back empty counts from 0, and Postgres may remember places in the old one. */
function beginTopics(addresses: Addresses): Promise<string[]> {
  return beginTopicsAt({
    databaseUrl: addresses.DATABASE_URL,
    access: accessOf(addresses),
    topics: allTopics.map(({ name }) => name),
  });
}

const startConnector = (addresses: Addresses) =>
  applyConnector({
    connectUrl: addresses.CONNECT_URL,
    cdcUrl: addresses.DATABASE_URL_RAGLINE_CDC,
    // A start that fails takes Connect down with it, and then nobody could resume it.
    resume: true,
  });

async function stopConnector(addresses: Addresses): Promise<string> {
  const connector = {
    connectUrl: addresses.CONNECT_URL,
    cdcUrl: addresses.DATABASE_URL_RAGLINE_CDC,
    name: connectorName,
  };
  await untilConnectAnswers(connector);
  return holdConnector(connector);
}

async function makeTopics(addresses: Addresses) {
  const kafka = kafkaClient(
    addresses.KAFKA_BROKERS,
    addresses.KAFKA_USERNAME || undefined,
    addresses.KAFKA_PASSWORD,
  );
  const admin = kafka.admin({ retry: { retries: 5 } });
  await admin.connect();
  try {
    return await applyTopics(admin, allTopics);
  } finally {
    await admin.disconnect();
  }
}
