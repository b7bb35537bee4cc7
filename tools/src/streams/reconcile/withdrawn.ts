/** Orders of which topics tell what Postgres does not know: what a restore has taken back, order by order. */
import type { TopicRecord } from '../topic-records.ts';

export type WithdrawnOrder = {
  order_id: string;
  tenant_id: string | null;
  /** Whose order it is. */
  user_id: string | null;
  /** `withdrawn`: Postgres does not know it. `taken_back`: it does, as it was before these events. */
  kind: 'withdrawn' | 'taken_back';
  /** How many of its events are in no outbox, and where the last of them lies. */
  events: number;
  topic: string;
  partition: number;
  offset: number;
  written_at: string;
};

export type WithdrawnOrders = {
  /** Takes a record of which no outbox knows; of anything but orders nothing is kept. */
  add(topic: string, record: TopicRecord): void;
  /** Withdrawn ones first, each with the value of its last event; null where all of them together were too large. */
  list(): { order: WithdrawnOrder; value: Buffer | null }[];
};

const ordersMax = 100_000;
const valuesBytesMax = 256 * 1024 * 1024;

/** @param keepValues whether the content is asked for */
export function createWithdrawnOrders(keepValues: boolean): WithdrawnOrders {
  const orders = new Map<string, { order: WithdrawnOrder; value: Buffer | null }>();
  let bytes = 0;

  return {
    add(topic, { partition, offset, key, value, headers, timestamp }) {
      const header = (name: string) => headers.find(([it]) => String(it) === name)?.[1]?.toString() || null;
      const type = header('event_type');
      const orderId = key?.toString();
      if (orderId === undefined || type === null || !type.startsWith('order_')) return;
      const known = orders.get(orderId);
      if (known === undefined && orders.size >= ordersMax) return;
      const isNew = type === 'order_created' || known?.order.kind === 'withdrawn';
      const order: WithdrawnOrder = {
        order_id: orderId,
        ...{ tenant_id: header('tenant_id'), user_id: header('user_id') },
        kind: isNew ? 'withdrawn' : 'taken_back',
        events: (known?.order.events ?? 0) + 1,
        ...{ topic, partition, offset, written_at: new Date(timestamp).toISOString() },
      };
      bytes -= known?.value?.length ?? 0;
      const isKept = keepValues && value !== null && bytes + value.length <= valuesBytesMax;
      // A copy: what was read is a slice of a whole answer.
      const kept = isKept ? Buffer.from(value) : null;
      bytes += kept?.length ?? 0;
      orders.set(orderId, { order, value: kept });
    },
    list: () =>
      [...orders.values()].sort(
        (a, b) =>
          Number(a.order.kind === 'taken_back') - Number(b.order.kind === 'taken_back') ||
          a.order.written_at.localeCompare(b.order.written_at),
      ),
  };
}
