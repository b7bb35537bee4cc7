/** 500 outbox rows of one transaction, with Connect killed while it carries them. */
import { randomUUIDv7 } from 'node:crypto';
import { appendOutbox, type OutboxRow } from '@ragline/postgres/outbox';
import { createPool, inTenant } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { topics } from '@ragline/schemas/topics';
import { startRecordTap } from '../../connectors/record-tap.ts';
import { eventually } from '../support/eventually.ts';
import type { Stack } from '../support/stack.ts';

export type Arrival = {
  /** How many of the rows a reader that does not wait for commits had seen when Connect was killed. */
  seenAtKill: number;
  arrived: number;
  lost: number;
  doubled: number;
  reordered: number;
};

/**
 * Commits the rows, kills Connect as soon as the first of them reaches Kafka, committed there or not, and counts
 * what a reader of committed records gets in the end.
 *
 * @param kill kills Connect and resolves when another worker answers
 */
export async function carryWithConnectKilled(
  parts: Pick<Stack, 'kafka' | 'databaseUrlOf'>,
  rowCount: number,
  kill: () => Promise<void>,
): Promise<Arrival> {
  const log = createLogger({ service: 'test', level: 'error' });
  const url = parts.databaseUrlOf('ragline_orders');
  const pool = createPool({
    url,
    max: 1,
    applicationName: 'test-outbox',
    log,
    metrics: createMetrics({ service: 'test' }),
  });
  const options = { kafka: parts.kafka, topics: [topics.orders.name] };
  const early = await startRecordTap({ ...options, readUncommitted: true });
  const tap = await startRecordTap(options);
  try {
    const tenantId = randomUUIDv7();
    const rows = Array.from({ length: rowCount }, () => aRow(tenantId));
    const ids = new Set(rows.map(({ id }) => id));
    const ofOurs = (record: { headers: Record<string, string> }) => ids.has(record.headers.id ?? '');
    await inTenant(pool, tenantId, (client) => appendOutbox(client, 'orders', rows));

    await eventually(() => early.records.some(ofOurs), { withinMs: 60_000, everyMs: 1 });
    const seenAtKill = early.records.filter(ofOurs).length;
    await kill();

    const arrived = () => tap.records.filter(ofOurs);
    // Its aborted batch ends by timeout at the latest; what is not there by then counts as lost.
    await eventually(() => arrived().length >= rowCount, { withinMs: 120_000 }).catch(() => {});
    // A doubled row would come with or right after the last; one more row marks the end of everything before it.
    const mark = aRow(tenantId);
    await inTenant(pool, tenantId, (client) => appendOutbox(client, 'orders', [mark]));
    await eventually(() => tap.records.some(({ headers }) => headers.id === mark.id), { withinMs: 60_000 });
    return {
      seenAtKill,
      ...count(
        rows,
        arrived().map(({ key, headers }) => ({ key, id: headers.id ?? '' })),
      ),
    };
  } finally {
    await Promise.all([early.stop(), tap.stop(), pool.end()]);
  }
}

function count(rows: readonly OutboxRow[], arrived: readonly { key: string | null; id: string }[]) {
  const times = new Map<string, number>();
  for (const { id } of arrived) times.set(id, (times.get(id) ?? 0) + 1);
  const place = new Map(rows.map(({ id }, index) => [id, index]));
  const last = new Map<string | null, number>();
  let reordered = 0;
  for (const { key, id } of arrived) {
    const index = place.get(id) ?? -1;
    if (index < (last.get(key) ?? -1)) reordered += 1;
    last.set(key, index);
  }
  return {
    arrived: arrived.length,
    lost: rows.filter(({ id }) => !times.has(id)).length,
    doubled: [...times.values()].filter((often) => often > 1).length,
    reordered,
  };
}

/** 50 keys, so that order per key can be seen; large, so that Connect needs several batches. */
function aRow(tenantId: string): OutboxRow {
  const number = Math.floor(Math.random() * 50);
  return {
    id: randomUUIDv7(),
    topic: topics.orders.name,
    key: `${tenantId}-${number}`,
    event_type: 'order_created',
    tenant_id: tenantId,
    user_id: '',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    payload: Buffer.alloc(8_000, number),
  };
}
