/** Housekeeping, by every instance: what one has begun the others leave alone (advisory locks in the functions). */
import { pruneIdempotency } from '@ragline/postgres/idempotency';
import { maintainOutbox } from '@ragline/postgres/partitions';
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';

const everyMs = 600_000;

const prunedAtOnce = 5_000;

/** What was done. Goes on until nothing old is left: an hour of many orders leaves more keys than one batch takes. */
export async function keepHouse(
  pool: Parameters<typeof maintainOutbox>[0],
  isStopped: () => boolean = () => false,
): Promise<Record<string, unknown>> {
  const partitions = await maintainOutbox(pool, 'orders');
  const idempotency = await pruneIdempotency(pool, 'orders');
  const pruned = { order_keys: 0, sentinel_orders: 0 };
  for (let isFull = true; isFull && !isStopped(); ) {
    const { rows } = await pool.query<typeof pruned>('SELECT * FROM orders.prune($1)', [prunedAtOnce]);
    const { order_keys = 0, sentinel_orders = 0 } = rows[0] ?? {};
    pruned.order_keys += order_keys;
    pruned.sentinel_orders += sentinel_orders;
    isFull = order_keys === prunedAtOnce || sentinel_orders === prunedAtOnce;
  }
  return { ...partitions, idempotency, ...pruned };
}

/** At once, and then every ten minutes, each time a little later or earlier than the other instances. */
export function startHousekeeping({ pool, log }: { pool: Pool; log: Logger }): { stop(): Promise<void> } {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();

  const run = async () => {
    try {
      log.debug('housekeeping', await keepHouse(pool, () => isStopped));
    } catch (error) {
      log.warn('housekeeping failed', { error });
    }
    if (!isStopped) timer = setTimeout(begin, everyMs * (0.9 + 0.2 * Math.random()));
  };
  const begin = () => {
    running = run();
  };
  begin();

  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
