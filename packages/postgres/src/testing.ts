/** For tests: pools of each role on the real Postgres, and rows for an outbox. */
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import pg from 'pg';
import { stack } from '../../../tests/support/stack.ts';
import { migrate } from './migrate.ts';
import type { OutboxRow } from './outbox.ts';
import { createPool, type Pool } from './pool.ts';

const log = createLogger({ service: 'test', level: 'error' });

/** A pool as that role's service would have it, to the stack's database when none is named. */
export function poolOf(role: string, max = 8, database?: string): Pool {
  const metrics = createMetrics({ service: 'test' });
  const url = new URL(stack().databaseUrlOf(role));
  if (database !== undefined) url.pathname = `/${database}`;
  return createPool({ url: url.href, max, applicationName: `test-${role}`, log, metrics });
}

/** A migrated database of the test's own beside the stack's: no connector reads it, and nobody else writes to it. */
export async function scratchDatabase(): Promise<{ name: string; url: string; drop(): Promise<void> }> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const url = new URL(stack().databaseUrl);
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  try {
    await admin.query(`CREATE DATABASE ${name}`);
    url.pathname = `/${name}`;
    await migrate({ databaseUrl: url.href, log });
  } catch (error) {
    await admin.end();
    throw error;
  }
  return {
    name,
    url: url.href,
    async drop() {
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}

/** Partitions of the schema's outbox, by name. */
export async function partitionsOf(db: { query: Pool['query'] }, schema: string): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
      WHERE inhparent = format('%I.outbox', $1::text)::regclass ORDER BY 1`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

/** A row to a topic that nobody reads events from, so that a shared stack is not disturbed. */
export function aRow(tenantId: string): OutboxRow {
  return {
    id: randomUUIDv7(),
    topic: '_connect.heartbeat.ragline',
    key: 'test',
    event_type: 'tested',
    tenant_id: tenantId,
    user_id: '',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    payload: Buffer.from('test'),
  };
}
