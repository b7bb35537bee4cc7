/** The transaction of one attempt where no lease is to be fenced: a claim of the inbox, and the effect. */
import type pg from 'pg';
import { createClaim } from '../claim.ts';
import { claim } from '../inbox.ts';
import type { Claim } from '../task.ts';

/** A record's event id, as the handler knows it, and all ids under which the group may remember it. */
export type Claimed = { event_id: string; inbox_ids: readonly string[] };

export type ClaimOptions = {
  pool: pg.Pool | undefined;
  groupId: string;
  records: readonly Claimed[];
  /** Whether a record whose handler claimed nothing is claimed after it. */
  closes: boolean;
};

export function inboxClaim({ pool, groupId, records, closes }: ClaimOptions): Claim {
  const ids = [...new Set(records.flatMap(({ inbox_ids }) => inbox_ids))];
  const isFresh = (open: ReadonlySet<string>) => (it: Claimed) => it.inbox_ids.every((id) => open.has(id));
  let isUsed = false;
  const { once, onceBatch, settle } = createClaim(
    async (effect) => {
      isUsed = true;
      if (pool === undefined) throw new TypeError(`Group ${groupId} has no pool: once needs one`);
      return inTransaction(pool, async (client) => {
        const open = await claim(client, groupId, ids);
        return effect(client, new Set(records.filter(isFresh(open)).map(({ event_id }) => event_id)));
      });
    },
    (fresh) => fresh.size === records.length,
  );
  return {
    once,
    onceBatch,
    async settle() {
      if (isUsed) await settle();
      // Nothing but the claim: one statement is a transaction of its own.
      else if (closes && pool !== undefined) await claim(pool, groupId, ids);
    },
  };
}

async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((cause: Error) => {
      broken = cause;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
