/** Whether the place from which the connector goes on is in the log that Postgres has. */
import pg from 'pg';
import { connectorPlace } from './apply-connector.ts';

export type PlaceOptions = { connectUrl: string; databaseUrl: string; name?: string; withinMs?: number };

/**
 * False where it lies behind the log's end: an earlier state of Postgres was restored, and Debezium would pass over,
 * without an error, all that is written until the log is as long again. True when Connect keeps none: it begins at the slot.
 */
export async function isPlaceInLog({ databaseUrl, ...connector }: PlaceOptions): Promise<boolean> {
  const place = await connectorPlace(connector);
  if (place === null) return true;
  const db = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  db.on('error', () => {});
  await db.connect();
  try {
    // Asked second: the log only grows, unless another one was put in its place.
    const { rows } = await db.query<{ bytes: string }>(
      "SELECT (pg_current_wal_lsn() - '0/0')::text AS bytes",
    );
    return place <= BigInt(rows[0]?.bytes ?? 0);
  } finally {
    await db.end();
  }
}
