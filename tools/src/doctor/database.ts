/** Postgres, its tables and the connector's place in its log. */
import { listMigrations } from '@ragline/postgres/migrate';
import { readSlot, slotName } from '@ragline/postgres/slot';
import pg from 'pg';
import type { Settings } from '../parts/settings.ts';
import type { Check } from './check.ts';
import { connectorRole, slotHolderSql } from './fix-slot.ts';
import { mendOf } from './mend.ts';

const versionMin = 180_000;

export const databaseChecks: Check[] = [
  {
    name: 'postgres',
    mend: mendOf('postgres', 'npm start    (or: is DATABASE_URL right, and its server up?)'),
    run: (settings) =>
      withClient(settings, async (client) => {
        const { rows } = await client.query<{
          number: number;
          version: string;
          wal: string;
          vector: string | null;
        }>(
          `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
                  current_setting('wal_level') AS wal,
                  (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS vector`,
        );
        const [row] = rows;
        if (!row) throw new Error('no answer');
        const detail = `${row.version}, pgvector ${row.vector ?? 'missing'}, wal_level ${row.wal}`;
        if (row.wal !== 'logical') {
          return {
            state: 'broken',
            detail,
            mend: 'ALTER SYSTEM SET wal_level = logical, then restart Postgres',
          };
        }
        if (row.number < versionMin) return { state: 'broken', detail, mend: 'use Postgres 18 or newer' };
        return { state: row.vector ? 'ok' : 'warning', detail, mend: 'install pgvector for that server' };
      }),
  },
  {
    name: 'migrations',
    needs: ['postgres'],
    mend: 'npx ragline migrate',
    run: (settings) =>
      withClient(settings, async (client) => {
        const known = (await listMigrations()).map((file) => file.replace(/\.sql$/, ''));
        const { rows } = await client.query<{ name: string }>('SELECT name FROM ragline_migration');
        const applied = new Set(rows.map(({ name }) => name));
        const missing = known.filter((name) => !applied.has(name));
        if (missing.length > 0) return { state: 'broken', detail: `not applied: ${missing.join(', ')}` };
        return { detail: `${known.length} applied` };
      }),
  },
  {
    name: 'slot',
    needs: ['postgres', 'migrations'],
    mend: 'npx ragline doctor --fix slot',
    run: (settings) =>
      withClient(settings, async (client) => {
        const slot = await readSlot(client);
        const lost = 'docs/operations/slot-lost.md says how the topics are filled again';
        if (!slot)
          return { state: 'broken', detail: 'there is none: events written now are not carried', mend: lost };
        if (slot.wal_status === 'lost')
          return { state: 'broken', detail: 'lost: its log was removed', mend: lost };
        const share = slot.cap_bytes ? slot.lag_bytes / slot.cap_bytes : 0;
        const lag = `${megabytes(slot.lag_bytes)} MB behind${slot.cap_bytes ? ` of ${megabytes(slot.cap_bytes)} MB at most` : ''}`;
        const stranger = await strangerAt(client);
        if (stranger !== undefined)
          return { state: 'broken', detail: `held by ${stranger}, not by the connector, ${lag}` };
        // Nobody holds it up; whether the connector runs is a check of its own.
        if (!slot.active)
          return {
            state: share > 0.9 ? 'broken' : 'warning',
            detail: `nobody reads it, ${lag}`,
            mend: 'npx ragline connectors status    (it is read again as soon as the connector runs)',
          };
        const state = share > 0.9 ? 'broken' : share > 0.5 ? 'warning' : 'ok';
        return { state, detail: `active, ${lag}`, mend: 'npx ragline connectors status' };
      }),
  },
];

/** Who reads the slot, when that is not Debezium. */
async function strangerAt(client: pg.Client): Promise<string | undefined> {
  const { rows } = await client.query<{ pid: number; name: string; application: string }>(slotHolderSql, [
    slotName,
  ]);
  const [holder] = rows;
  if (!holder || holder.name === connectorRole) return undefined;
  return `${holder.name} (session ${holder.pid}, ${holder.application})`;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Runs `work` on a connection of the database's owner. */
export async function withClient<T>(settings: Settings, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: settings.get('DATABASE_URL'),
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}
