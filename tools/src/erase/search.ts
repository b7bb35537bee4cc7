/** Looks for texts in every column of every table: what an erasure left, and where. */
import type { Pool } from '@ragline/postgres/pool';
import type { Remaining } from './cut.ts';

export const schemas = ['ops', 'streams', 'identity', 'orders', 'notifications', 'dead_letters', 'chat'];

export type Column = { schema: string; table: string; column: string; type: string };

/** Every column in which a text could stand, of tables and not of their partitions. */
export async function textColumns(pool: Pool): Promise<Column[]> {
  const { rows } = await pool.query<Column>(
    `SELECT n.nspname AS schema, c.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        AND format_type(a.atttypid, NULL) IN ('text', 'text[]', 'character varying', 'json', 'jsonb', 'bytea', 'tsvector', 'name')
      ORDER BY 1, 2, a.attnum`,
    [schemas],
  );
  return rows;
}

export type Found = { schema: string; table: string; column: string; rows: number };

/** Where the texts stand, by column. One walk a table. */
export async function findTexts(pool: Pool, texts: readonly string[]): Promise<Found[]> {
  const found: Found[] = [];
  const tables = Map.groupBy(await textColumns(pool), ({ schema, table }) => `${schema}.${table}`);
  for (const columns of tables.values()) {
    const counts = columns.map(({ column, type }, at) => {
      const quoted = `t."${column}"`;
      const text = type === 'bytea' ? quoted : `${quoted}::text`;
      return `count(*) FILTER (WHERE ops.mentions(${text}, $1))::int AS c${at}`;
    });
    const [first] = columns;
    if (first === undefined) continue;
    const { schema, table } = first;
    const { rows } = await pool.query<Record<string, number>>(
      `SELECT ${counts.join(', ')} FROM ${schema}."${table}" t`,
      [texts],
    );
    for (const [at, { column }] of columns.entries()) {
      const count = rows[0]?.[`c${at}`] ?? 0;
      if (count > 0) found.push({ schema, table, column, rows: count });
    }
  }
  return found;
}

/** The tenant's own words, in which a person may be named: its staff's to change. */
const tenantsOwn = [
  'chat.document',
  'chat.source',
  'chat.reindex_item',
  'chat.chunk',
  'chat.outbox',
  'orders.product',
  'orders.promotion',
  'orders.order_item',
  'orders.outbox',
  'identity.tenant',
  'notifications.webhook',
];

/** What is told of it: what the tenant has to decide, and what should not be there. */
export function remainingOf(found: readonly Found[]): { remaining: Remaining[]; toDecide: Remaining[] } {
  const remaining: Remaining[] = [];
  const toDecide: Remaining[] = [];
  for (const { schema, table, column, rows } of found) {
    const where = `${schema}.${table}.${column}`;
    const count = `${rows} ${rows === 1 ? 'row names' : 'rows name'} the person`;
    if (tenantsOwn.includes(`${schema}.${table}`))
      toDecide.push({ where, why: `${count}: the tenant’s own text, see the runbook` });
    else remaining.push({ where, why: `${count}: another account, or written meanwhile` });
  }
  return { remaining, toDecide };
}
