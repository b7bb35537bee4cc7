/** Housekeeping, by every instance: what one has begun the others leave alone (advisory locks in the functions). */
import { pruneIdempotency } from '@ragline/postgres/idempotency';
import { maintainOutbox } from '@ragline/postgres/partitions';
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';

const everyMs = 600_000;

export async function keepHouse(pool: Pool): Promise<Record<string, unknown>> {
  const partitions = await maintainOutbox(pool, 'orders');
  const idempotency = await pruneIdempotency(pool, 'orders');
  const { rows } = await pool.query<{ order_keys: number; sentinel_orders: number }>(
    'SELECT * FROM orders.prune()',
  );
  return { ...partitions, idempotency, ...rows[0] };
}

/** At once, and then every ten minutes, each time a little later or earlier than the other instances. */
export function startHousekeeping({ pool, log }: { pool: Pool; log: Logger }): { stop(): Promise<void> } {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();

  const run = async () => {
    try {
      log.debug('housekeeping', await keepHouse(pool));
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
