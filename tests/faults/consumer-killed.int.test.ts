import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { inTenant } from '@ragline/postgres/pool';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { openScene } from '@ragline/streams/testing';
import { after, before, describe, it } from 'mocha';
import { openStore } from '../../services/notifications/src/testing.ts';
import { eventually } from '../support/eventually.ts';

const statuses = ['pending', 'confirmed', 'preparing', 'ready', 'completed'] as const;
const titles = [
  'Your order was received',
  'Your order was confirmed',
  'Your order is being prepared',
  'Your order is ready',
  'Your order is completed',
];

describe('a consumer group whose processes are killed and frozen under load', function () {
  this.timeout(170_000);
  let scene: Awaited<ReturnType<typeof openScene>>;
  let opened: ReturnType<typeof openStore>;
  const children = new Set<ChildProcess>();

  before(async () => {
    scene = await openScene({ partitions: 6 });
    opened = openStore();
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await opened.pool.end();
    await scene.close();
  });

  it('has each effect once, and each order’s in order', async () => {
    const tenantId = randomUUIDv7();
    const orders = Array.from({ length: 150 }, () => anOrderEvent({ tenant_id: tenantId }));
    const step = async (version: number) => {
      for (let at = 0; at < orders.length; at += 10) {
        const records = orders.slice(at, at + 10).map((order) => recordOf(aStep(order, version)));
        await scene.producer.send(scene.topic, records);
      }
    };

    const steady = await aMember();
    const first = await aMember();
    await step(0);
    const killing = kill(first);
    await step(1);
    await killing;

    // The frozen one is thrown out of the group, and wakes in the middle of what another now does.
    await aMember();
    steady.kill('SIGSTOP');
    await step(2);
    await eventually(async () => assert.equal((await told(tenantId)).length, 3 * orders.length), {
      withinMs: 60_000,
    });
    steady.kill('SIGCONT');
    await step(3);
    await kill(steady);
    await step(4);
    await aMember();

    await eventually(
      async () => {
        const seen = await told(tenantId);
        assert.equal(seen.length, titles.length * orders.length, 'lost or doubled');
        for (const { order } of orders) {
          const ofOrder = seen.filter(({ order_id }) => order_id === order.id).map(({ title }) => title);
          assert.deepEqual(ofOrder, titles, order.id);
        }
      },
      { withinMs: 60_000, everyMs: 250 },
    );
    // What was told went out as often: each customer's five notifications and one for the staff an order.
    const { rows } = await inTenant(opened.pool, tenantId, (client) =>
      client.query('SELECT count(*) AS n FROM notifications.outbox WHERE tenant_id = $1', [tenantId]),
    );
    assert.deepEqual(rows, [{ n: (titles.length + 1) * orders.length }]);
  });

  async function aMember(): Promise<ChildProcess> {
    const file = new URL('./consumer-process.ts', import.meta.url);
    const child = fork(file, [scene.groupId, scene.topic], { execArgv: [] });
    children.add(child);
    await once(child, 'message');
    return child;
  }

  async function kill(child: ChildProcess): Promise<void> {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    children.delete(child);
  }

  async function told(tenantId: string): Promise<{ order_id: string; title: string }[]> {
    const { rows } = await inTenant(opened.pool, tenantId, (client) =>
      client.query<{ order_id: string; title: string }>(
        `SELECT order_id, title FROM notifications.notification
          WHERE tenant_id = $1 AND audience = 'user' ORDER BY created_at, id`,
        [tenantId],
      ),
    );
    return rows;
  }

  function recordOf(event: OrderEvent) {
    const { event_id: id, event_type, tenant_id, user_id, order } = event;
    return { key: order.id, value: scene.encode(event), headers: { id, event_type, tenant_id, user_id } };
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
