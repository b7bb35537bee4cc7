/** What Kafka lost while nothing ran is written again before the connector writes anything new. */
import { slotName } from '@ragline/postgres/slot';
import { createLogger } from '@ragline/runtime/logger';
import { allTopics } from '@ragline/schemas/topics';
import { createKafka } from '@ragline/streams/kafka-client';
import { connectorName } from '../../tools/src/parts/apply-connector.ts';
import { isPlaceInLog } from '../../tools/src/parts/connector-place.ts';
import { fromOutbox, outboxTables } from '../../tools/src/streams/outbox-rows.ts';
import { findLost, tellLost } from '../../tools/src/streams/rebuild/lost.ts';
import { rebuild } from '../../tools/src/streams/rebuild/rebuild.ts';
import type { Addresses } from './addresses.ts';
import { StartFailure } from './failure.ts';

/**
 * How many events were written again, and the connector runs; undefined when nothing was lost.
 *
 * Throws a StartFailure where a rebuild by hand was interrupted that had removed topics (a person said which), and
 * where Postgres was restored: what is lost then is for a person to know first.
 */
export async function bringBackLost(addresses: Addresses): Promise<number | undefined> {
  await refuseRestored(addresses);
  const access = {
    brokers: addresses.KAFKA_BROKERS.split(','),
    username: addresses.KAFKA_USERNAME || undefined,
    password: addresses.KAFKA_PASSWORD,
  };
  const common = {
    databaseUrl: addresses.DATABASE_URL,
    access,
    topics: fromOutbox(allTopics),
    tables: await outboxTables(),
  };
  const lost = await findLost({ ...common, cdcUrl: addresses.DATABASE_URL_RAGLINE_CDC });
  if (lost === undefined) return undefined;
  if (lost.unfinished) {
    throw new StartFailure('connector', tellLost(lost), {
      mend: 'npm start -- --parts    (and in another terminal the command above)',
    });
  }
  const log = createLogger({ service: 'ragline', level: 'error' });
  const report = await rebuild({
    ...common,
    kafka: createKafka({ ...access, clientId: 'ragline-rebuild', log }),
    connector: {
      connectUrl: addresses.CONNECT_URL,
      cdcUrl: addresses.DATABASE_URL_RAGLINE_CDC,
      name: connectorName,
    },
    slotName,
  });
  return report.topics.reduce((sum, { written }) => sum + written, 0);
}

async function refuseRestored({
  CONNECT_URL: connectUrl,
  DATABASE_URL: databaseUrl,
}: Addresses): Promise<void> {
  if (await isPlaceInLog({ connectUrl, databaseUrl })) return;
  throw new StartFailure(
    'connector',
    'An earlier state of Postgres was restored: the connector’s place lies behind the end of its log',
    {
      mend: 'npm start -- --parts    (docs/operations/postgres-restored.md tells what else, from its step 3 on)',
    },
  );
}
