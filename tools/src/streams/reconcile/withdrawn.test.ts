import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { TopicRecord } from '../topic-records.ts';
import { createWithdrawnOrders, type Span, tellWithdrawn } from './withdrawn.ts';

describe('orders that a restore has taken back', () => {
  it('are told of one and all, each with its last event, however many and large they are', async () => {
    const many = 100_200;
    const orders = createWithdrawnOrders(Infinity);
    for (let n = 0; n < many; n += 1) orders.add('orders.v1', aRecord(n, 'order_created'));
    for (let n = 0; n < many; n += 1) orders.add('orders.v1', aRecord(n, 'order_cancelled', many));
    assert.equal(orders.count(), many);
    let told = 0;
    let bytes = 0;
    await tellWithdrawn(orders.list(), again, async ({ order_id, kind, events, offset }, value) => {
      assert.deepEqual(
        [kind, events, value?.toString('latin1', 0, 16)],
        ['withdrawn', 2, `${offset}`.padEnd(16)],
      );
      assert.equal(order_id, `order-${offset - many}`);
      told += 1;
      bytes += value?.length ?? 0;
    });
    assert.equal(told, many);
    assert.ok(bytes > 256 * 1024 * 1024);

    async function* again(topic: string, span: Span) {
      assert.equal(topic, 'orders.v1');
      assert.deepEqual(span, new Map([[0, { from: many, end: 2 * many }]]));
      // One record's memory for all of them: more than this is not asked for.
      const value = Buffer.alloc(4_096);
      for (let n = 0; n < many; n += 1) {
        value.write(`${many + n}`.padEnd(16), 'latin1');
        yield { ...aRecord(n, 'order_cancelled', many), value };
      }
    }
  });

  it('are told of without their event where the topic has dropped it', async () => {
    const orders = createWithdrawnOrders(Infinity);
    for (const n of [0, 1, 2]) orders.add('orders.v1', aRecord(n, 'order_created'));
    const told: unknown[] = [];
    await tellWithdrawn(
      orders.list(),
      async function* () {
        yield aRecord(2, 'order_created');
      },
      async ({ order_id }, value) => void told.push([order_id, value === null]),
    );
    assert.deepEqual(told, [
      ['order-2', false],
      ['order-0', true],
      ['order-1', true],
    ]);
  });

  it('are counted, each once, beyond those that are kept', () => {
    const orders = createWithdrawnOrders(2);
    for (const n of [0, 1, 2, 3, 3, 0]) orders.add('orders.v1', aRecord(n, 'order_created'));
    assert.deepEqual([orders.list().length, orders.count()], [2, 4]);
  });
});

/** An event of the order of that number. */
function aRecord(n: number, eventType: string, offset = 0): TopicRecord {
  return {
    partition: 0,
    offset: offset + n,
    id: null,
    key: Buffer.from(`order-${n}`),
    value: Buffer.from('content'),
    headers: [[Buffer.from('event_type'), Buffer.from(eventType)]],
    timestamp: 1_700_000_000_000,
  };
}
