/** Rows of the outboxes, in the order in which they were written. */
import type { Topic } from '@ragline/schemas/topics';
import pg from 'pg';
import { connectorConfig } from '../parts/apply-connector.ts';

export type RowHead = {
  /** The event's id. */
  id: string;
  topic: string;
  key: string;
  created_at: Date;
};

export type FullRow = RowHead & {
  event_type: string;
  tenant_id: string;
  user_id: string;
  traceparent: string;
  payload: Buffer;
};

/** Which rows: of these topics, each from its own time on. */
export type Wanted = { topic: string; since: Date }[];

/** The tables that the connector carries, such as `orders.outbox`. */
export async function outboxTables(): Promise<string[]> {
  const config = await connectorConfig('postgres://nobody@localhost/none');
  return (config['table.include.list'] ?? '').split(',').map((name) => name.trim());
}

/** Topics that are written from outboxes; the others are kept nowhere else. */
export const fromOutbox = (topics: readonly Topic[]): Topic[] =>
  topics.filter(({ schema, direct }) => schema !== null && direct !== true);

// A row may have 900 KiB.
const fetchRows = 500;
const headColumns = 'o.id, o.aggregatetype AS topic, o.aggregateid AS key, o.created_at';
const allColumns = `${headColumns}, o.type AS event_type, o.tenant_id, o.user_id, o.traceparent, o.payload`;

export type OutboxReader = {
  /** Ids and keys alone, in lots. */
  heads(): AsyncGenerator<RowHead[]>;
  /** Whole rows, in lots. */
  rows(): AsyncGenerator<FullRow[]>;
  /** Those of the ids (UUIDs) that have a row, of whatever time. */
  known(ids: readonly string[]): Promise<Set<string>>;
  close(): Promise<void>;
};

/**
 * Reads in one snapshot: the one that is named (exported by another session that still holds it), else the present.
 *
 * Rows of one table come by their number, so those of a key are in the order of their commits wherever one waited for
 * the other; rows of before there were numbers come first, by their time. A key has all its rows in one table.
 */
export async function openOutboxes(options: {
  /** A connection string of the role ragline_cdc, or of an administrator. */
  databaseUrl: string;
  tables: readonly string[];
  wanted: Wanted;
  snapshot?: string | undefined;
}): Promise<OutboxReader> {
  const { databaseUrl, tables, wanted, snapshot } = options;
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'ragline-streams' });
  // It fails at its next query, and that is who hears of it.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0');
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    if (snapshot !== undefined) {
      await client.query(`SET TRANSACTION SNAPSHOT ${client.escapeLiteral(snapshot)}`);
    }
  } catch (error) {
    await client.end();
    throw error;
  }

  async function* walk<R extends RowHead>(columns: string, size: number): AsyncGenerator<R[]> {
    for (const table of tables) {
      // Payloads are sorted too: on disk where they are many, and only while somebody mends.
      await client.query(
        `DECLARE walk NO SCROLL CURSOR FOR
         SELECT ${columns} FROM ${table} o
           JOIN unnest($1::text[], $2::timestamptz[]) AS w (topic, since)
             ON w.topic = o.aggregatetype AND o.created_at >= w.since
          WHERE o.created_at >= $3
          ORDER BY o.number NULLS FIRST, o.created_at, o.id`,
        [
          wanted.map(({ topic }) => topic),
          wanted.map(({ since }) => since),
          new Date(Math.min(...wanted.map(({ since }) => since.getTime()))),
        ],
      );
      for (;;) {
        const { rows } = await client.query<R>(`FETCH ${size} FROM walk`);
        if (rows.length > 0) yield rows;
        if (rows.length < size) break;
      }
      await client.query('CLOSE walk');
    }
  }

  return {
    heads: () => walk<RowHead>(headColumns, fetchRows * 20),
    rows: () => walk<FullRow>(allColumns, fetchRows),
    async known(ids) {
      const found = new Set<string>();
      for (const table of tables) {
        const text = `SELECT o.id FROM ${table} o WHERE o.id = ANY ($1::uuid[])`;
        for (const { id } of (await client.query<{ id: string }>(text, [ids])).rows) found.add(id);
      }
      return found;
    },
    close: () => client.end(),
  };
}
