/** What topics have lost, where the settings say that everything is. */
import { allTopics } from '@ragline/schemas/topics';
import { accessFrom } from '../../parts/kafka.ts';
import type { Settings } from '../../parts/settings.ts';
import { fromOutbox, outboxTables } from '../outbox-rows.ts';
import { findLost, type Lost } from './lost.ts';

/** Undefined when nothing is, and where Postgres or Kafka are not known: then nobody can tell. */
export async function lostAt(
  settings: Settings,
  { olderThanMs = 0 }: { olderThanMs?: number } = {},
): Promise<Lost | undefined> {
  const databaseUrl = settings.find('DATABASE_URL');
  const cdcUrl = settings.find('DATABASE_URL_RAGLINE_CDC');
  if (!databaseUrl || !cdcUrl || !settings.find('KAFKA_BROKERS')) return undefined;
  return findLost({
    ...{ databaseUrl, cdcUrl, olderThanMs },
    access: accessFrom(settings),
    topics: fromOutbox(allTopics),
    tables: await outboxTables(),
  });
}
