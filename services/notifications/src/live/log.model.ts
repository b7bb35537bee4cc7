/** A model of Kafka for tests: plain arrays, filled at random, read back in whole batches. */
import type { FetchedPartition, TailRecord } from '@ragline/streams/tail-records';

export const orders = 0;
export const notices = 1;
export const answers = 2;
export const names = ['orders', 'notices', 'answers'];
export const partitions = [3, 2, 2];

export type Random = () => number;

/** mulberry32: the same seed gives the same run. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Written = {
  topic: number;
  partition: number;
  offset: number;
  tenant: string;
  user: string;
  key: string;
  id: string;
};

/** The log: `undefined` is a transaction marker, which takes an offset and is no record. */
export function createLog(random: Random) {
  const logs: (Written | undefined)[][][] = partitions.map((n) => Array.from({ length: n }, () => []));
  let events = 0;

  return {
    logs,
    end: (topic: number, partition: number) => logs[topic]?.[partition]?.length ?? 0,
    write(): void {
      const kind = random();
      const topic = kind < 0.5 ? orders : kind < 0.7 ? notices : answers;
      const tenant = `tenant${Math.floor(random() * 3)}`;
      const user = `user${Math.floor(random() * 3)}`;
      const order = Math.floor(random() * 8);
      const key = topic === orders ? `order${order}` : topic === answers ? `talk${order}` : user;
      const partition = topic === notices ? user.charCodeAt(4) % 2 : order % (partitions[topic] ?? 1);
      const log = logs[topic]?.[partition];
      if (log === undefined) return;
      // The owner of an order, and of a conversation, is always the same.
      const owner = topic === notices ? user : `user${order % 3}`;
      events += 1;
      log.push({ topic, partition, offset: log.length, tenant, user: owner, key, id: `e${events}` });
      if (random() < 0.3) log.push(undefined);
    },
    fetch(topic: number, partition: number, from: number, count: number): FetchedPartition {
      const log = logs[topic]?.[partition] ?? [];
      // Batches come whole: an answer may begin before what was asked for.
      const start = Math.max(0, from - Math.floor(random() * 3));
      const end = Math.min(log.length, from + count);
      const records: TailRecord[] = [];
      for (let offset = start; offset < end; offset += 1) {
        const written = log[offset];
        if (written !== undefined) records.push(recordOf(written));
      }
      const next = end > from ? end : undefined;
      return {
        topic: names[topic] ?? '',
        partition,
        error: 0,
        records,
        next,
        logStart: 0,
        stableEnd: log.length,
      };
    },
  };
}

export type Log = ReturnType<typeof createLog>;

function recordOf(it: Written): TailRecord {
  const headers = { tenant_id: it.tenant, user_id: it.user, id: it.id };
  const value = {
    event_id: it.id,
    event_type: 'happened',
    occurred_at: 't',
    tenant_id: it.tenant,
    user_id: it.user,
  };
  return {
    offset: it.offset,
    timestamp: 0,
    key: Buffer.from(it.key),
    value: Buffer.from(JSON.stringify({ ...value, text: 'x'.repeat(it.offset % 90) })),
    headers: Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
  };
}
