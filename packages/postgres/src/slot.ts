/** The replication slot: Postgres's memory of how far the connector has read. */
import pg from 'pg';

export const slotName = 'ragline_outbox';

/**
 * `active`: a connector reads it now. `lag_bytes`: write-ahead log kept for it, of at most `cap_bytes` (null: no
 * limit). `lag_ms` is null where Postgres does not know it. `wal_status`: reserved | extended | unreserved | lost.
 */
export type SlotState = {
  slot_name: string;
  active: boolean;
  wal_status: string | null;
  lag_bytes: number;
  lag_ms: number | null;
  cap_bytes: number | null;
};

type Queryable = { query<R extends object>(text: string, values: unknown[]): Promise<{ rows: R[] }> };

/** How the slot is; undefined when there is none. */
export async function readSlot(db: Queryable, name: string = slotName): Promise<SlotState | undefined> {
  const { rows } = await db.query<SlotState>(
    `SELECT slot_name, active, wal_status, lag_bytes::float8, lag_ms::float8, cap_bytes::float8
       FROM ops.replication_slot($1)`,
    [name],
  );
  return rows[0];
}

/** Events may have been written that no slot remembers: a new slot would pass over them without a word. */
export class SlotMissingError extends Error {
  override name = 'SlotMissingError';
  readonly code = 'slot_missing';
}

export type EnsureSlotOptions = {
  /** An administrator's connection string, to the database of the outboxes. */
  databaseUrl: string;
  name?: string;
  /** Make it although the outboxes hold events, which will then not be on Kafka. */
  evenIfBehind?: boolean;
};

/**
 * Makes the slot unless it is there, before any service writes: the connector reads from where the slot begins.
 * Throws SlotMissingError when there are events already. Says whether it made it.
 */
export async function ensureSlot(options: EnsureSlotOptions): Promise<boolean> {
  const { databaseUrl, name = slotName, evenIfBehind = false } = options;
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [name]);
    if (rowCount) return false;
    if (!evenIfBehind && (await hasEvents(client))) {
      throw new SlotMissingError(
        `The outboxes hold events but there is no slot ${name}: what was written since it went is not on Kafka. See docs/operations/slot-lost.md, or postgres-restored.md where an earlier state was restored`,
      );
    }
    await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name]);
    return true;
  } finally {
    await client.end();
  }
}

async function hasEvents(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ some: boolean }>(
    `SELECT EXISTS (SELECT FROM identity.outbox) OR EXISTS (SELECT FROM orders.outbox)
         OR EXISTS (SELECT FROM notifications.outbox) OR EXISTS (SELECT FROM dead_letters.outbox)
         OR EXISTS (SELECT FROM chat.outbox) AS some`,
  );
  return rows[0]?.some === true;
}
