/** For tests: pools of each role on the real Postgres, and rows for an outbox. */
import { randomUUIDv7 } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { stack } from '../../../tests/support/stack.ts';
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
