import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { readSlot } from '@ragline/postgres/slot';
import pg from 'pg';
import { pauseConnector } from '../../parts/apply-connector.ts';
import { tell } from '../../parts/numbers.ts';

/**
 * CPU time in ms that a Postgres on this machine has spent so far, processes that have ended included; NaN for one
 * elsewhere, and where there is no /proc.
 */
export async function readPostgresCpu(databaseUrl: string): Promise<number> {
  const url = new URL(databaseUrl);
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)) return Number.NaN;
  return withClient(url.href, async (client) => {
    const { rows } = await client.query<{ pid: number }>('SELECT pid FROM pg_stat_activity');
    const stats = rows.flatMap(({ pid }) => statOf(pid) ?? []);
    // Backends of other databases and helpers that are not listed are its children as well, but cost next to nothing.
    const postmaster = statOf(stats[0]?.parentPid ?? 0);
    if (postmaster === undefined) return Number.NaN;
    return stats.reduce((sum, it) => sum + it.ownMs, postmaster.ownMs + postmaster.endedChildrenMs);
  });
}

/** Near the slot's cap the service would refuse orders, as it should: between rounds Connect catches up first. */
export async function drainWhenHalfFull(databaseUrl: string, connectUrl: string): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    const fill = async () => {
      const slot = await readSlot(client);
      return slot?.cap_bytes ? slot.lag_bytes / slot.cap_bytes : 0;
    };
    if ((await fill()) < 0.4) return;
    tell('Connect catches up');
    await pauseConnector({ connectUrl, paused: false });
    while ((await fill()) > 0.02) await pause(500);
    await pauseConnector({ connectUrl, paused: true });
  });
}

/** Takes the tenant's rows away again; its events stay in the outbox, as all events do. */
export async function forgetTenant(databaseUrl: string, tenantId: string): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    for (const table of ['order_item', 'orders', 'order_key', 'product', 'idempotency']) {
      await client.query(`DELETE FROM orders.${table} WHERE tenant_id = $1`, [tenantId]);
    }
  });
}

async function withClient<T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const tickMs = 10;

/** The fields of proc(5)'s stat that count here; undefined for a process that is not there. */
function statOf(pid: number): { parentPid: number; ownMs: number; endedChildrenMs: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? [];
    // Counted from the state, which is 0: ppid, utime, stime, cutime, cstime.
    const wanted = [1, 11, 12, 13, 14].map((index) => fields[index] ?? 0);
    const [parentPid = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = wanted;
    return {
      parentPid,
      ownMs: (user + system) * tickMs,
      endedChildrenMs: (childUser + childSystem) * tickMs,
    };
  } catch {
    return undefined;
  }
}
