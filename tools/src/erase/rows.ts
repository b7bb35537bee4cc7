/** What Postgres has of a person: the functions of each schema (migrations/0605_erase.sql), in an order that may be cut anywhere. */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Person } from './person.ts';

type Queryable = Pick<Client, 'query'> | Pool;
export type Counts = Record<string, Record<string, number>>;
/** What names the person, and keys of records about the person. */
export type Marks = { texts: string[]; keys: string[] };

/** Orders and conversations: their ids are keys of records. Asked for while the conversations are there. */
export async function keysOf(db: Queryable, { tenant_id, user_id }: Person): Promise<string[]> {
  const { rows } = await db.query<{ keys: string[] }>('SELECT ops.keys_of_user($1, $2) AS keys', [
    tenant_id,
    user_id,
  ]);
  return rows[0]?.keys ?? [];
}

/** Asks the person's answers to stop; how many are being made still. */
export async function stopTurns(db: Queryable, { tenant_id, user_id }: Person): Promise<number> {
  const { rows } = await db.query<{ open: number }>('SELECT chat.stop_user($1, $2) AS open', [
    tenant_id,
    user_id,
  ]);
  return rows[0]?.open ?? 0;
}

// A record that is given up meanwhile becomes a letter and never the reverse.
const ofFailed = ['streams', 'dead_letters'] as const;
const ofRows = ['chat', 'notifications', 'orders'] as const;
type Erasing = (typeof ofFailed)[number] | (typeof ofRows)[number] | 'identity';

/** Parked records, then letters. */
export const eraseFailed = (db: Queryable, person: Person, marks: Marks) =>
  eraseEach(db, ofFailed, person, marks);

/** Everything else but the account. */
export const eraseRows = (db: Queryable, person: Person, marks: Marks) =>
  eraseEach(db, ofRows, person, marks);

/** Last, so that a command that died before is found by its address again. */
export const eraseAccount = (db: Queryable, person: Person, marks: Marks) =>
  eraseEach(db, ['identity'], person, marks);

/**
 * What all of them would remove. Each is taken back before the next begins, so that nobody waits for a lock longer than one
 * schema takes.
 */
export async function countRows(pool: Pool, person: Person, marks: Marks): Promise<Counts> {
  const counts: Counts = {};
  for (const schema of [...ofFailed, ...ofRows, 'identity'] as const) {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      Object.assign(counts, await eraseEach(client, [schema], person, marks));
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  }
  return counts;
}

async function eraseEach(
  db: Queryable,
  schemas: readonly Erasing[],
  { tenant_id, user_id }: Person,
  { texts, keys }: Marks,
): Promise<Counts> {
  const counts: Counts = {};
  for (const schema of schemas) {
    const takesKeys = schema === 'streams' || schema === 'dead_letters';
    const { rows } = await db.query<{ counts: Record<string, number> }>(
      `SELECT ${schema}.erase_user($1, $2, $3${takesKeys ? ', $4' : ''}) AS counts`,
      [tenant_id, user_id, texts, ...(takesKeys ? [keys] : [])],
    );
    counts[schema] = rows[0]?.counts ?? {};
  }
  return counts;
}

/** Adds up what several passes found. */
export function sumOf(...all: Counts[]): Counts {
  const sum: Counts = {};
  for (const counts of all) {
    for (const [store, kinds] of Object.entries(counts)) {
      const of = sum[store] ?? {};
      for (const [kind, count] of Object.entries(kinds)) of[kind] = (of[kind] ?? 0) + count;
      sum[store] = of;
    }
  }
  return sum;
}

/** Of all outboxes together: which of these event ids they have. */
export async function knownToOutboxes(db: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const schemas = ['identity', 'orders', 'notifications', 'dead_letters', 'chat'];
  const { rows } = await db.query<{ id: string }>(
    schemas
      .map((schema) => `SELECT id FROM ${schema}.outbox WHERE id = ANY ($1::uuid[])`)
      .join(' UNION ALL '),
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}
