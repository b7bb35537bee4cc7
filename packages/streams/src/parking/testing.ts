/** Parking on a real Postgres of the test's own: stores of a group, and records to park. */
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { poolOf, scratchDatabase } from '../../../postgres/src/testing.ts';
import { postgresStore } from './postgres-store.ts';
import type {
  Caps,
  Head,
  Lease,
  Parkable,
  ParkedError,
  ParkingStore,
  Place,
  Queued,
  Verdict,
} from './store.ts';

export type ParkingScene = Awaited<ReturnType<typeof openParking>>;

/** A migrated database, a pool as a consumer's role has it, one as the dead letter service has it, and an administrator's. */
export async function openParking({ connections = 8 } = {}) {
  const database = await scratchDatabase();
  const pool = poolOf('ragline_notifications', connections, database.name);
  const operators = poolOf('ragline_dead_letters', 4, database.name);
  const store = postgresStore(pool);
  const admin = new pg.Pool({ connectionString: database.url, max: 2 });
  admin.on('error', () => {});

  return {
    database,
    pool,
    operators,
    admin,
    store,
    place: (): Place => ({
      group_id: `test-${randomBytes(4).toString('hex')}`,
      topic: 'orders.v1',
      partition: 0,
    }),
    /** One value of an operator's function. */
    async operate<T>(text: string, values: unknown[]): Promise<T[]> {
      const { rows } = await operators.query<Record<string, T>>(text, values);
      return rows.flatMap((row) => Object.values(row));
    },
    async linesOf(place: Place) {
      const { rows } = await admin.query<{
        key: string | null;
        detached: boolean;
        depth: number;
        attempt: number;
        dead: boolean;
      }>(
        `SELECT convert_from(key, 'UTF8') AS key, detached, depth, attempt, not_before = 'infinity' AS dead
           FROM streams.parked_key WHERE group_id = $1 ORDER BY id`,
        [place.group_id],
      );
      return rows;
    },
    async outcomeOf(place: Place, inboxId: string): Promise<string | undefined> {
      const { rows } = await admin.query<{ outcome: string }>(
        'SELECT outcome FROM streams.inbox WHERE group_id = $1 AND inbox_id = $2',
        [place.group_id, inboxId],
      );
      return rows[0]?.outcome;
    },
    /** Makes a line's head due now, as if its delay were over. */
    async makeDue(lineId: number): Promise<void> {
      await admin.query('UPDATE streams.parked_key SET not_before = clock_timestamp() WHERE id = $1', [
        lineId,
      ]);
    },
    /** The heads that are due, without their followers. */
    async headsOf(lease: Lease): Promise<Head[]> {
      const heads = await store.due(lease, 100);
      return heads.filter((head, at) => heads.findIndex(({ lineId }) => lineId === head.lineId) === at);
    },
    async close(): Promise<void> {
      await pool.end();
      await operators.end();
      await admin.end();
      await database.drop();
    },
  };
}

export function aParkable(
  offset: number,
  key: string | null = 'a',
  changes: Partial<Parkable> = {},
): Parkable {
  const event_id = randomUUID();
  return {
    offset: String(offset),
    key: key === null ? null : Buffer.from(key),
    value: Buffer.from(`value ${offset}`),
    headers: { id: event_id },
    timestamp: 1_700_000_000_000,
    tenant_id: null,
    event_id,
    inbox_id: event_id,
    ...changes,
  };
}

export const anError: ParkedError = {
  code: 'handler_failed',
  class: 'TypeError',
  message: 'no',
  stack: '',
  attempt: 1,
  not_before: '2026-01-01T00:00:00.000Z',
  failed_at: '2026-01-01T00:00:01.000Z',
};

export const later: Verdict = { kind: 'retry', delayMs: 60_000, error: anError };
export const atOnce: Verdict = { kind: 'retry', delayMs: 0, error: anError };
export const dead: Verdict = { kind: 'dead', skip: false, error: anError };
export const skipped: Verdict = { kind: 'dead', skip: true, error: anError };
export const roomy = { lineRecords: 100, lineBytes: 1_000_000, partitionRecords: 1_000 };

export async function appendOne(
  store: ParkingStore,
  lease: Lease,
  record: Parkable,
  caps: Caps,
): Promise<Queued | undefined> {
  const [status] = await store.append(lease, [record], caps);
  return status;
}

/** A client that is inside a transaction and stays there. */
export async function openTransaction(pool: pg.Pool): Promise<pg.PoolClient> {
  const client = await pool.connect();
  client.on('error', () => {});
  await client.query('BEGIN');
  return client;
}
