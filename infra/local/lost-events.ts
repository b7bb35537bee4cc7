/** What Kafka lost while nothing ran is written again before the connector writes anything new. */
import { slotName } from '@ragline/postgres/slot';
import { createLogger } from '@ragline/runtime/logger';
import { allTopics } from '@ragline/schemas/topics';
import { createKafka } from '@ragline/streams/kafka-client';
import type { KafkaAccess } from '@ragline/streams/tail-client';
import { connectorName } from '../../tools/src/parts/apply-connector.ts';
import { isPlaceInLog } from '../../tools/src/parts/connector-place.ts';
import { fromOutbox, outboxTables } from '../../tools/src/streams/outbox-rows.ts';
import { findLost, tellLost } from '../../tools/src/streams/rebuild/lost.ts';
import { LateEventsError, rebuild } from '../../tools/src/streams/rebuild/rebuild.ts';
import type { Addresses } from './addresses.ts';
import { StartFailure } from './failure.ts';
import { type Progress, shown } from './progress.ts';

const connectWithinMs = 90_000;

export const accessOf = (addresses: Addresses): KafkaAccess => ({
  brokers: addresses.KAFKA_BROKERS.split(','),
  username: addresses.KAFKA_USERNAME || undefined,
  password: addresses.KAFKA_PASSWORD,
});

/**
 * Whether anything was lost. Before services write: an event of theirs that no connector has carried yet is not.
 *
 * Throws a StartFailure where a rebuild by hand was interrupted that had more to do than to complete: a person knows what.
 */
export async function isAnythingLost(addresses: Addresses): Promise<boolean> {
  const lost = await findLost({
    databaseUrl: addresses.DATABASE_URL,
    cdcUrl: addresses.DATABASE_URL_RAGLINE_CDC,
    access: accessOf(addresses),
    topics: fromOutbox(allTopics),
    tables: await outboxTables(),
  });
  if (lost?.unfinished) {
    throw new StartFailure('connector', tellLost(lost), {
      mend: 'npm start -- --parts    (and in another terminal the command above)',
    });
  }
  return lost !== undefined;
}

/** Writes it again and starts the connector behind it; says how much, or that a person has to. Services may run. */
export async function bringBackLost(
  addresses: Addresses,
  onProgress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const access = accessOf(addresses);
  const log = createLogger({ service: 'ragline', level: 'error' });
  const tell = (text: string) =>
    onProgress({ stage: 'preparing', item: 'lost events', state: 'warning', text });
  try {
    const { topics } = await shown(onProgress, 'preparing', 'events that Kafka lost', async () =>
      rebuild({
        ...{ access, slotName, databaseUrl: addresses.DATABASE_URL },
        topics: fromOutbox(allTopics),
        tables: await outboxTables(),
        kafka: createKafka({ ...access, clientId: 'ragline-rebuild', log }),
        connector: {
          connectUrl: addresses.CONNECT_URL,
          cdcUrl: addresses.DATABASE_URL_RAGLINE_CDC,
          name: connectorName,
        },
        // A start that is given up does not wait for the rest: the next one goes on with it.
        onProgress: () => signal.throwIfAborted(),
      }),
    );
    const count = topics.reduce((sum, { written }) => sum + written, 0);
    tell(`Kafka had lost what it held: ${count} events were written again from the outboxes`);
  } catch (error) {
    if (!(error instanceof LateEventsError)) throw error;
    // Topics that hold something lack something before it. What comes now comes behind it either way.
    tell(
      'Kafka has lost events, and some would now come out of their order: npx ragline streams reconcile names them, docs/operations/kafka-lost.md says what to do',
    );
  }
}

/**
 * Throws a StartFailure where Postgres was restored to an earlier state, since without an error the connector would pass
 * over all that is written until the log is as long again; what is lost then is for a person to know first.
 */
export async function refuseRestored(addresses: Addresses): Promise<void> {
  const { CONNECT_URL: connectUrl, DATABASE_URL: databaseUrl } = addresses;
  if (await isPlaceInLog({ connectUrl, databaseUrl, withinMs: connectWithinMs })) return;
  throw new StartFailure(
    'connector',
    'An earlier state of Postgres was restored: the connector’s place lies behind the end of its log',
    {
      mend: 'npm start -- --parts    (docs/operations/postgres-restored.md tells what else, from its step 3 on)',
    },
  );
}
