import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant } from '@ragline/postgres/pool';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { openScene } from '@ragline/streams/testing';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { keepNotifications } from './consumer.ts';
import { openStore } from './testing.ts';

const statuses = ['pending', 'confirmed', 'preparing', 'ready', 'completed'] as const;

describe('the notifications group', function () {
  this.timeout(60_000);
  let opened: ReturnType<typeof openStore>;
  before(() => {
    opened = openStore();
  });
  after(() => opened.pool.end());

  it('loses, doubles and reorders nothing while instances come and go', async () => {
    const scene = await openScene({ partitions: 6 });
    try {
      const notified: string[] = [];
      const start = () =>
        scene.start(
          { codec: scene.codec, handleBatch: keepNotifications(opened.store) },
          {
            batchMax: 50,
            concurrency: 2,
            onFinished({ event, outcome }) {
              if (outcome === 'notified' && event !== undefined) notified.push(event.event_id);
            },
          },
        );
      const tenantId = randomUUIDv7();
      const orders = Array.from({ length: 200 }, () => anOrderEvent({ tenant_id: tenantId }));
      const expected: string[] = [];
      const send = async (version: number) => {
        const events = orders.map((order) => aStep(order, version));
        await scene.producer.send(
          scene.topic,
          events.map((event) => recordOf(scene, event)),
        );
        expected.push(...events.map(({ event_id }) => event_id));
      };

      const first = await start();
      await send(0);
      const [second] = await Promise.all([start(), send(1)]);
      await Promise.all([first.stop(), send(2)]);
      await Promise.all([start(), send(3)]);
      await Promise.all([second.stop(), send(4)]);

      await eventually(() => assert.equal(notified.length, expected.length), { withinMs: 40_000 });
      assert.deepEqual(notified.sort(), expected.sort());
      const titles = await titlesByOrder(tenantId);
      assert.equal(titles.size, orders.length);
      const inOrder = [
        'Your order was received',
        'Your order was confirmed',
        'Your order is being prepared',
        'Your order is ready',
        'Your order is completed',
      ];
      for (const [order, told] of titles) assert.deepEqual(told, inOrder, order);
    } finally {
      await scene.close();
    }
  });

  it('handles the rest of a batch once when one of it fails for good', async () => {
    const scene = await openScene({ partitions: 1 });
    try {
      const outcomes = new Map<string, string[]>();
      const events = Array.from({ length: 20 }, () => anOrderEvent());
      const [, , poison] = events;
      assert.ok(poison);
      await scene.producer.send(
        scene.topic,
        events.map((event) => recordOf(scene, event)),
      );
      const keep = keepNotifications(opened.store);
      await scene.start(
        {
          codec: scene.codec,
          async handleBatch(batch, attempt) {
            if (batch.some(({ event_id }) => event_id === poison.event_id)) {
              throw new Error('a bug in one of them');
            }
            return keep(batch, attempt);
          },
        },
        {
          retry: { delaysMs: [] },
          onFinished({ record, outcome }) {
            const id = String(record.headers.id);
            outcomes.set(id, [...(outcomes.get(id) ?? []), outcome]);
          },
        },
      );
      await eventually(() => assert.equal(outcomes.size, events.length), { withinMs: 30_000 });
      assert.deepEqual(outcomes.get(poison.event_id), ['dead-lettered']);
      for (const { event_id, tenant_id, order } of events) {
        assert.equal(outcomes.get(event_id)?.length, 1);
        const expected: string[] = event_id === poison.event_id ? [] : [order.id];
        assert.deepEqual([...(await titlesByOrder(tenant_id)).keys()], expected);
      }
      const [letter] = await scene.letters(1);
      assert.equal(String(letter?.headers.id), poison.event_id);
    } finally {
      await scene.close();
    }
  });

  /** What the customers were told, by order, in the order in which they see it. */
  async function titlesByOrder(tenantId: string): Promise<Map<string, string[]>> {
    const { rows } = await inTenant(opened.pool, tenantId, (client) =>
      client.query<{ order_id: string; title: string }>(
        `SELECT order_id, title FROM notifications.notification
          WHERE tenant_id = $1 AND audience = 'user' ORDER BY id`,
        [tenantId],
      ),
    );
    const titles = new Map<string, string[]>();
    for (const { order_id, title } of rows) titles.set(order_id, [...(titles.get(order_id) ?? []), title]);
    return titles;
  }
});

function aStep(created: OrderEvent, version: number): OrderEvent {
  if (version === 0) return created;
  return {
    ...created,
    event_id: randomUUIDv7(),
    event_type: 'order_status_changed',
    order: { ...created.order, status: statuses[version] ?? 'completed', version: version + 1 },
    previous_status: statuses[version - 1] ?? null,
  };
}

function recordOf(scene: Awaited<ReturnType<typeof openScene>>, event: OrderEvent) {
  const { event_id: id, event_type, tenant_id, user_id, order } = event;
  return { key: order.id, value: scene.encode(event), headers: { id, event_type, tenant_id, user_id } };
}
