/** Connections to Postgres, and the three ways to use one: as it is, in a transaction, in a tenant's transaction. */
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import pg from 'pg';

export type Pool = pg.Pool;
export type Client = pg.PoolClient;

export type PoolOptions = {
  /** Connection string of the service's own, plain role. */
  url: string;
  /** Connections at most; 10. */
  max?: number;
  /** Shown in pg_stat_activity, and the metrics' label. */
  applicationName: string;
  /** Postgres gives a statement up after this; 5 s. */
  statementTimeoutMs?: number;
  log: Logger;
  metrics: Metrics;
};

// bigint as number: money and versions are far below 2^53, and checked on their way in.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * A pool whose connections lose nothing silently: a statement is given up after a time, a transaction that
 * its process forgot is ended by Postgres (its locks would stop others), and an idle connection's end is logged.
 */
export function createPool(options: PoolOptions): Pool {
  const { url, max = 10, applicationName, statementTimeoutMs = 5_000, log, metrics } = options;
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: applicationName,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    options: [
      `-c statement_timeout=${statementTimeoutMs}`,
      '-c idle_in_transaction_session_timeout=5000',
      '-c lock_timeout=3000',
      '-c timezone=UTC',
    ].join(' '),
  });
  // Without a listener, a connection that Postgres ends while idle would end the process.
  pool.on('error', (error) => log.warn('postgres connection lost', { error }));
  // The same for one in use, which the pool does not listen to: its statement fails, and that is who hears of it.
  pool.on('connect', (client) => client.on('error', () => {}));
  measure(pool, applicationName, metrics);
  return pool;
}

/** Runs `work` in a transaction: committed when it resolves, rolled back when it throws, and the error passed on. */
export async function inTransaction<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  return begin(pool, (client) => client.query('BEGIN'), work);
}

/** Like inTransaction, as that tenant: row-level security shows and accepts its rows alone. */
export async function inTenant<T>(
  pool: Pool,
  tenantId: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  // pg queues both, so that a tenant costs a statement and not a wait for its answer before the work begins.
  const open = async (client: Client) => {
    await Promise.all([client.query('BEGIN'), setTenant(client, tenantId)]);
  };
  return begin(pool, open, work);
}

/** Makes the present transaction the tenant's; the setting ends with the transaction. */
export async function setTenant(client: Client, tenantId: string): Promise<void> {
  await client.query({
    name: 'ragline_set_tenant',
    text: "SELECT set_config('ragline.tenant_id', $1, true)",
    values: [tenantId],
  });
}

async function begin<T>(
  pool: Pool,
  open: (client: Client) => Promise<unknown>,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await open(client);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // A connection that cannot even roll back is closed, not given to the next.
    await client.query('ROLLBACK').catch((cause: Error) => {
      broken = cause;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

function measure(pool: Pool, name: string, metrics: Metrics): void {
  const gauge = metrics.gauge('ragline_postgres_connections', 'Connections of a pool by state.', [
    'pool',
    'state',
  ]);
  const update = () => {
    gauge.set({ pool: name, state: 'busy' }, pool.totalCount - pool.idleCount);
    gauge.set({ pool: name, state: 'idle' }, pool.idleCount);
    gauge.set({ pool: name, state: 'waiting' }, pool.waitingCount);
  };
  update();
  for (const event of ['acquire', 'release', 'connect', 'remove'] as const) pool.on(event, update);
}
