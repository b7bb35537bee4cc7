/** Orders of which topics tell what Postgres does not know: what a restore has taken back, order by order. */
import { createIdSet } from '../id-set.ts';
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

/** Told of an order, with the value of its last event; null where that is not on the topic any more. */
export type OnWithdrawn = (order: WithdrawnOrder, value: Buffer | null) => Promise<void>;

export type WithdrawnOrders = {
  /** Takes a record of which no outbox knows; of anything but orders nothing is kept. */
  add(topic: string, record: TopicRecord): void;
  /** Those that are kept; withdrawn ones first, then by time. */
  list(): WithdrawnOrder[];
  /** How many there are, also of those that are not kept. */
  count(): number;
};

/**
 * An order that is kept takes some 500 bytes, another one 16; their content, which may be larger than memory, is not here.
 *
 * @param keptMax how many orders are kept
 */
export function createWithdrawnOrders(keptMax: number): WithdrawnOrders {
  const orders = new Map<string, WithdrawnOrder>();
  const others = createIdSet();

  return {
    add(topic, { partition, offset, key, headers, timestamp }) {
      const header = (name: string) => headers.find(([it]) => String(it) === name)?.[1]?.toString() || null;
      const type = header('event_type');
      const orderId = key?.toString();
      if (orderId === undefined || type === null || !type.startsWith('order_')) return;
      const known = orders.get(orderId);
      if (known === undefined && orders.size >= keptMax) return others.add(orderId);
      const isNew = type === 'order_created' || known?.kind === 'withdrawn';
      orders.set(orderId, {
        order_id: orderId,
        ...{ tenant_id: header('tenant_id'), user_id: header('user_id') },
        kind: isNew ? 'withdrawn' : 'taken_back',
        events: (known?.events ?? 0) + 1,
        ...{ topic, partition, offset, written_at: new Date(timestamp).toISOString() },
      });
    },
    list: () =>
      [...orders.values()].sort(
        (a, b) =>
          Number(a.kind === 'taken_back') - Number(b.kind === 'taken_back') ||
          Date.parse(a.written_at) - Date.parse(b.written_at),
      ),
    count: () => orders.size + others.size(),
  };
}

/** Offsets by partition, only of those that are wanted: the first one, and behind the last one. */
export type Span = Map<number, { from: number; end: number }>;

/**
 * Tells of every order, one after the other, with the value of its last event, for which the topics are read again: in
 * their order, and at the end those whose event retention has taken meanwhile.
 */
export async function tellWithdrawn(
  orders: readonly WithdrawnOrder[],
  read: (topic: string, span: Span) => AsyncIterable<TopicRecord>,
  onWithdrawn: OnWithdrawn,
): Promise<void> {
  for (const [topic, those] of Map.groupBy(orders, (order) => order.topic)) {
    const waiting = new Map(those.map((order) => [order.order_id, order]));
    for await (const { partition, offset, key, value } of read(topic, spanOf(those))) {
      const order = waiting.get(String(key));
      if (order?.partition !== partition || order.offset !== offset) continue;
      waiting.delete(order.order_id);
      await onWithdrawn(order, value);
    }
    for (const order of waiting.values()) await onWithdrawn(order, null);
  }
}

function spanOf(orders: readonly WithdrawnOrder[]): Span {
  const span: Span = new Map();
  for (const { partition, offset } of orders) {
    const { from, end } = span.get(partition) ?? { from: offset, end: 0 };
    span.set(partition, { from: Math.min(from, offset), end: Math.max(end, offset + 1) });
  }
  return span;
}
