/** Looks for texts in every column of every table: what an erasure left, and where. */
import type { Pool } from '@ragline/postgres/pool';
import type { Remaining } from './cut.ts';
import type { Person } from './person.ts';

export type Column = { schema: string; table: string; column: string; type: string };

/** Of the catalog's n: whatever schema there is, but for Postgres's own and that of the migrations and extensions. */
const isOurs = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'public')";
/** In which no text can stand; whoever uses another type decides whether one can. */
const harmless = [
  ...['smallint', 'integer', 'bigint', 'integer[]', 'double precision', 'boolean', 'uuid'],
  ...['date', 'timestamp with time zone', 'interval', 'vector', 'halfvec', 'public.vector', 'public.halfvec'],
];

/** Every column in which a text could stand, of tables and not of their partitions. */
export async function textColumns(pool: Pool): Promise<Column[]> {
  const { rows } = await pool.query<Column>(
    `SELECT n.nspname AS schema, c.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${isOurs} AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        AND format_type(a.atttypid, NULL) <> ALL ($1)
      ORDER BY 1, 2, a.attnum`,
    [harmless],
  );
  return rows;
}

/** Of the person or of nobody that could be told; of somebody else in the tenant; of another tenant. */
export type Whose = 'own' | 'others' | 'elsewhere';
export type Found = { schema: string; table: string; column: string; whose: Whose; rows: number };

/** Where the texts stand, by column. One walk a table. */
export async function findTexts(
  pool: Pool,
  { tenant_id, user_id }: Pick<Person, 'tenant_id' | 'user_id'>,
  texts: readonly string[],
): Promise<Found[]> {
  const found: Found[] = [];
  const owners = await ownersOf(pool);
  const tables = Map.groupBy(await textColumns(pool), ({ schema, table }) => `${schema}.${table}`);
  for (const [name, columns] of tables) {
    const counts = columns.map(({ column, type }, at) => {
      const quoted = `t."${column}"`;
      const text = type === 'bytea' ? quoted : `${quoted}::text`;
      return `count(*) FILTER (WHERE ops.mentions(${text}, $1))::int AS c${at}`;
    });
    const [first] = columns;
    if (first === undefined) continue;
    const { schema, table } = first;
    const { tenant = 'NULL', user = 'NULL' } = owners.get(name) ?? {};
    const { rows } = await pool.query<Record<string, number> & { whose: Whose }>(
      `SELECT CASE WHEN lower(${tenant}::text) <> $2 THEN 'elsewhere' WHEN ${user}::text <> $3 THEN 'others' ELSE 'own' END AS whose,
              ${counts.join(', ')}
         FROM ${schema}."${table}" t GROUP BY 1`,
      [texts, tenant_id, user_id],
    );
    for (const { whose, ...of } of rows) {
      for (const [at, { column }] of columns.entries()) {
        const count = of[`c${at}`] ?? 0;
        if (count > 0) found.push({ schema, table, column, whose, rows: count });
      }
    }
  }
  return found;
}

/** In which columns tables say whose a row is. */
async function ownersOf(pool: Pool): Promise<Map<string, { tenant?: string; user?: string }>> {
  const { rows } = await pool.query<{ name: string; columns: string[] }>(
    `SELECT n.nspname || '.' || c.relname AS name, array_agg(a.attname::text) AS columns
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${isOurs} AND a.attname IN ('tenant_id', 'user_id') AND NOT a.attisdropped GROUP BY 1`,
  );
  const named = rows.map(({ name, columns }) => {
    const owner = {
      ...(columns.includes('tenant_id') && { tenant: 't.tenant_id' }),
      ...(columns.includes('user_id') && { user: 't.user_id' }),
    };
    return [name, owner] as const;
  });
  return new Map([
    ...named,
    ['identity.tenant', { tenant: 't.id' }],
    ['identity.user_account', { tenant: 't.tenant_id', user: 't.id' }],
  ]);
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

/** Where somebody else's words stay: another run leaves them too. */
const othersOwn = [
  'chat.approval',
  'chat.conversation',
  'chat.message',
  'chat.turn',
  'identity.user_account',
  'notifications.preference',
  'orders.orders',
];

/** What is told of it: what another run may remove, and what others have to decide. */
export function remainingOf(found: readonly Found[]): { remaining: Remaining[]; toDecide: Remaining[] } {
  const remaining: Remaining[] = [];
  const toDecide: Remaining[] = [];
  for (const { schema, table, column, whose, rows } of found) {
    const name = `${schema}.${table}`;
    const where = `${name}.${column}`;
    const count = `${rows} ${rows === 1 ? 'row names' : 'rows name'} the person`;
    const tell = (why: string) => toDecide.push({ where, why: `${count}: ${why}` });
    if (whose === 'elsewhere') tell('another tenant’s, which is asked for itself');
    else if (tenantsOwn.includes(name)) tell('the tenant’s own text, see the runbook');
    else if (whose === 'others' && othersOwn.includes(name)) tell('another person’s own, see the runbook');
    else remaining.push({ where, why: `${count}: written meanwhile, run this again` });
  }
  return { remaining, toDecide };
}
