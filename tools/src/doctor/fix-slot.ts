/** Frees a slot that somebody else holds, so that the connector can read it again. Never drops it. */
import { slotName } from '@ragline/postgres/slot';
import pg from 'pg';
import { connectorStatus, restartConnector } from '../parts/apply-connector.ts';
import type { Settings } from '../parts/settings.ts';

/** Says what was done. Throws an Error when the slot is gone, since making another one would hide a loss. */
export async function fixSlot(settings: Settings): Promise<string> {
  const connectUrl = settings.get('CONNECT_URL');
  const { state } = await connectorStatus({ connectUrl });
  const client = new pg.Client({ connectionString: settings.get('DATABASE_URL') });
  await client.connect();
  try {
    const { rows } = await client.query<{ active_pid: number | null; wal_status: string | null }>(
      'SELECT active_pid, wal_status FROM pg_replication_slots WHERE slot_name = $1',
      [slotName],
    );
    const [slot] = rows;
    if (!slot || slot.wal_status === 'lost') {
      throw new Error(
        `The slot ${slotName} is ${slot ? 'lost' : 'gone'}: events are missing on Kafka. docs/operations/connector.md says what to do`,
      );
    }
    if (state === 'RUNNING' && slot.active_pid !== null)
      return 'the connector reads the slot: nothing to mend';
    if (slot.active_pid !== null) {
      await client.query('SELECT pg_terminate_backend($1, 5000)', [slot.active_pid]);
    }
    await restartConnector({ connectUrl });
    const freed =
      slot.active_pid === null ? '' : `session ${slot.active_pid}, which held the slot, was ended; `;
    return `${freed}the connector was restarted`;
  } finally {
    await client.end();
  }
}
