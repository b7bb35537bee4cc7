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

/** Parked records, then letters: a record that is given up meanwhile becomes a letter and never the reverse. */
export async function eraseFailed(db: Queryable, person: Person, { texts, keys }: Marks): Promise<Counts> {
  const counts: Counts = {};
  for (const schema of ['streams', 'dead_letters'] as const) {
    const { rows } = await db.query<{ counts: Record<string, number> }>(
      `SELECT ${schema}.erase_user($1, $2, $3, $4) AS counts`,
      [person.tenant_id, person.user_id, texts, keys],
    );
    counts[schema] = rows[0]?.counts ?? {};
  }
  return counts;
}

/** Everything else; the account goes last, so that a command that died before is found by its address again. */
export async function eraseRows(db: Queryable, person: Person, { texts }: Marks): Promise<Counts> {
  const counts: Counts = {};
  for (const schema of ['chat', 'notifications', 'orders', 'identity'] as const) {
    const { rows } = await db.query<{ counts: Record<string, number> }>(
      `SELECT ${schema}.erase_user($1, $2, $3) AS counts`,
      [person.tenant_id, person.user_id, texts],
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
