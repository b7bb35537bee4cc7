/** Frees a slot that somebody else holds, so that the connector can read it again. Never drops it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { slotName } from '@ragline/postgres/slot';
import pg from 'pg';
import { connectorStatus, restartConnector } from '../parts/apply-connector.ts';
import type { Settings } from '../parts/settings.ts';

/** As whom the connector logs in. */
export const connectorRole = 'ragline_cdc';

/** The session that reads the slot $1; no row while nobody does. */
export const slotHolderSql = `
  SELECT a.pid, a.usename AS name, a.application_name AS application
    FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid
   WHERE s.slot_name = $1`;

/** Says what was done. Throws an Error when the slot is gone, since making another one would hide a loss. */
export async function fixSlot(settings: Settings): Promise<string> {
  const connectUrl = settings.get('CONNECT_URL');
  const { state } = await connectorStatus({ connectUrl });
  const client = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
  await client.connect();
  try {
    const { rows } = await client.query<{ wal_status: string | null }>(
      'SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1',
      [slotName],
    );
    const [slot] = rows;
    if (!slot || slot.wal_status === 'lost') {
      throw new Error(
        `The slot ${slotName} is ${slot ? 'lost' : 'gone'}: events are missing on Kafka. docs/operations/slot-lost.md says what to do`,
      );
    }
    const { rows: holders } = await client.query<{ pid: number; name: string }>(slotHolderSql, [slotName]);
    const [holder] = holders;
    const isOurs = holder?.name === connectorRole;
    if (isOurs && state === 'RUNNING') return 'the connector reads the slot: nothing to mend';
    if (holder) await client.query('SELECT pg_terminate_backend($1, 5000)', [holder.pid]);
    await restartConnector({ connectUrl });
    const freed = holder ? `session ${holder.pid} of ${holder.name}, which held the slot, was ended; ` : '';
    return `${freed}the connector was restarted and is ${await settledState(connectUrl)}`;
  } finally {
    await client.end();
  }
}

/** What became of the restart: RUNNING or FAILED, or what it is after half a minute. */
async function settledState(connectUrl: string): Promise<string> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { state } = await connectorStatus({ connectUrl });
    if (state === 'RUNNING' || state === 'FAILED' || performance.now() > deadline) return state;
    await sleep(500);
  }
}
