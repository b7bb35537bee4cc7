/**
 * Where the rebuild ends and the connector begins: a snapshot of Postgres and the place in its log that belongs to it.
 *
 * Every transaction is either seen in the snapshot or comes after the place, never both and never neither.
 */
import pg from 'pg';

export type Boundary = {
  /** For SET TRANSACTION SNAPSHOT; good until the first command after it on this connection. */
  snapshot: string;
  /** The place in the log, such as 0/16B3748. */
  lsn: string;
  /** Makes the slot of that name go on from the place, whatever it was before. Nothing changes until then. */
  handOver(slotName: string): Promise<void>;
  /** Drops what was made for the boundary. */
  close(): Promise<void>;
};

type SlotRow = { active: boolean; wal_status: string | null; confirmed: string | null };

/** @param cdcUrl connection string of a role that may replicate; the slot lives as long as the connection */
export async function openBoundary(cdcUrl: string): Promise<Boundary> {
  const settings = { connectionString: cdcUrl, application_name: 'ragline-rebuild', replication: 'database' };
  const client = new pg.Client(settings);
  await client.connect();
  // A connection that is lost throws in the next query; without a listener it would end the process.
  client.on('error', () => {});
  try {
    const name = `ragline_rebuild_${process.pid}`;
    const { rows } = await client.query<{ snapshot_name: string; consistent_point: string }>(
      `CREATE_REPLICATION_SLOT ${name} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')`,
    );
    const [made] = rows;
    if (made === undefined) throw new Error('Postgres made no replication slot');
    return {
      snapshot: made.snapshot_name,
      lsn: made.consistent_point,
      handOver: (slotName) => handOver(client, { from: name, to: slotName, lsn: made.consistent_point }),
      close: () => client.end(),
    };
  } catch (error) {
    await client.end();
    throw error;
  }
}

/** How a slot is now; undefined when there is none. `confirmed` is null for one that is lost. */
export async function slotState(db: Pick<pg.Client, 'query'>, name: string): Promise<SlotRow | undefined> {
  const { rows } = await db.query<SlotRow>(
    `SELECT active, wal_status, confirmed_flush_lsn::text AS confirmed
       FROM pg_replication_slots WHERE slot_name = '${name}'`,
  );
  return rows[0];
}

async function handOver(client: pg.Client, { from, to, lsn }: { from: string; to: string; lsn: string }) {
  const slot = await slotState(client, to);
  if (slot !== undefined && slot.wal_status !== 'lost') {
    // Postgres keeps its log from the old place on until this very statement.
    await client.query(`SELECT pg_replication_slot_advance('${to}', '${lsn}')`);
    return;
  }
  if (slot !== undefined) await client.query(`SELECT pg_drop_replication_slot('${to}')`);
  await client.query(`SELECT pg_copy_logical_replication_slot('${from}', '${to}', false)`);
}
