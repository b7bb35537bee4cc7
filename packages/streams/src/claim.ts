/** The one transaction of an attempt, as handlers are given it. */
import type pg from 'pg';
import type { Claim } from './task.ts';

/** Runs an effect in a transaction that has claimed the attempt's ids, `fresh` being those not handled before. */
export type Transact = <T>(
  effect: (client: pg.PoolClient, fresh: ReadonlySet<string>) => Promise<T>,
) => Promise<T>;

/** @param isFresh whether an attempt of one record, with these ids fresh, takes effect */
export function createClaim(transact: Transact, isFresh: (fresh: ReadonlySet<string>) => boolean): Claim {
  let begun: Promise<unknown> | undefined;
  const begin: Transact = (effect) => {
    if (begun !== undefined) throw new Error('once was called twice in one attempt');
    const transaction = transact(effect);
    // A handler may look away from it; settle does not.
    transaction.catch(() => {});
    begun = transaction;
    return transaction;
  };
  return {
    once: async (effect) => begin(async (client, fresh) => (isFresh(fresh) ? effect(client) : undefined)),
    onceBatch: async (effect) => begin(effect),
    async settle() {
      await (begun ?? begin(async () => undefined));
    },
  };
}
