/** Answers remembered by Idempotency-Key, in the transaction of their effect: both are there, or neither. */

import type { OutboxSchema } from './outbox.ts';
import { type Client, inTenant, type Pool } from './pool.ts';

export type StoredAnswer = { status: number; headers?: Record<string, string>; body: unknown };

export type IdempotencyEntry = {
  tenant_id: string;
  user_id: string;
  /** Without one the work just runs in a transaction of its tenant. */
  key: string | undefined;
  /** Of everything that makes it the same request. */
  request_hash: string;
};

/**
 * - `first`: the work ran now
 * - `replayed`: it ran before, in the last 24 hours, and this was its answer
 * - `reused`: the key belongs to another request
 * - `in_progress`: the same key is being worked on at this moment
 */
export type IdempotencyResult =
  | { state: 'first' | 'replayed'; answer: StoredAnswer }
  | { state: 'reused' }
  | { state: 'in_progress' };

export type IdempotencyStore = ReturnType<typeof createIdempotencyStore>;

type StoredRow = { request_hash: string; status: number; headers: Record<string, string>; body: unknown };

/** Keeps answers in `<schema>.idempotency`. */
export function createIdempotencyStore(pool: Pool, schema: OutboxSchema) {
  return {
    /** Runs the work once per key. What it throws rolls everything back and leaves the key unused. */
    async once(
      entry: IdempotencyEntry,
      run: (client: Client) => Promise<StoredAnswer>,
    ): Promise<IdempotencyResult> {
      const { tenant_id, user_id, key, request_hash } = entry;
      return inTenant(pool, tenant_id, async (client): Promise<IdempotencyResult> => {
        if (key === undefined) return { state: 'first', answer: await run(client) };
        if (!(await claim(client, [schema, tenant_id, user_id, key].join('/'))))
          return { state: 'in_progress' };
        const earlier = await find(client, entry);
        if (earlier && earlier.request_hash !== request_hash) return { state: 'reused' };
        if (earlier) {
          const { status, headers, body } = earlier;
          return { state: 'replayed', answer: { status, headers, body } };
        }
        const answer = await run(client);
        await keep(client, entry, answer);
        return { state: 'first', answer };
      });
    },
  };

  async function find(client: Client, { tenant_id, user_id, key }: IdempotencyEntry) {
    const { rows } = await client.query<StoredRow>({
      name: `ragline_find_${schema}_answer`,
      text: `SELECT request_hash, status, headers, body FROM ${schema}.idempotency
              WHERE tenant_id = $1 AND user_id = $2 AND key = $3 AND created_at > now() - interval '24 hours'`,
      values: [tenant_id, user_id, key],
    });
    return rows[0];
  }

  async function keep(client: Client, entry: IdempotencyEntry, answer: StoredAnswer) {
    await client.query({
      name: `ragline_keep_${schema}_answer`,
      // An answer that is past its day may still be there: it is replaced.
      text: `INSERT INTO ${schema}.idempotency (tenant_id, user_id, key, request_hash, status, headers, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (tenant_id, user_id, key) DO UPDATE SET request_hash = excluded.request_hash,
               status = excluded.status, headers = excluded.headers, body = excluded.body, created_at = now()`,
      values: [
        entry.tenant_id,
        entry.user_id,
        entry.key,
        entry.request_hash,
        answer.status,
        JSON.stringify(answer.headers ?? {}),
        JSON.stringify(answer.body ?? null),
      ],
    });
  }
}

/** What runs a query: a pool, a client. */
type Queryable = { query<R extends object>(text: string, values: unknown[]): Promise<{ rows: R[] }> };

const prunedAtOnce = 10_000;

/** Forgets the answers of all tenants that are older than a day, in small steps; how many. Safe from several instances. */
export async function pruneIdempotency(db: Queryable, schema: OutboxSchema): Promise<number> {
  let pruned = 0;
  for (;;) {
    const { rows } = await db.query<{ pruned: number }>('SELECT ops.prune_idempotency($1, $2) AS pruned', [
      schema,
      prunedAtOnce,
    ]);
    const count = rows[0]?.pruned ?? 0;
    pruned += count;
    if (count < prunedAtOnce) return pruned;
  }
}

/** A lock and not a row: a twin learns at once that it is one, instead of waiting for the first to end. */
async function claim(client: Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ claimed: boolean }>({
    name: 'ragline_claim_idempotency_key',
    text: 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS claimed',
    values: [name],
  });
  return rows[0]?.claimed === true;
}
