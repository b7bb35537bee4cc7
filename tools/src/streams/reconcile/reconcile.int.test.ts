import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { startProducer } from '@ragline/streams/producer';
import { after, before, describe, it } from 'mocha';
import { openRebuildScene, type RebuildScene } from '../rebuild/rebuild.scene.ts';
import { type ReconcileOptions, reconcile } from './reconcile.ts';

/** One story, in its order: each test goes on where the last one ended. */
describe('outboxes and topics, compared', function () {
  this.timeout(120_000);
  let scene: RebuildScene;
  const keys = Array.from({ length: 20 }, () => randomUUIDv7());
  before(async () => {
    scene = await openRebuildScene();
    await scene.write(keys);
    await scene.startConnector();
    await scene.untilThere(keys.length);
  });
  after(() => scene?.close());

  // Nothing moves its slot on when nothing is written: it may be behind for ever, as far as the log goes.
  const soon = { arriveWithinMs: 2_000, pastAfterMs: 0 };
  const compared = (more: Partial<ReconcileOptions> = {}) => {
    const { databaseUrl, connector, access, slotName, topics, tables } = scene.options;
    return reconcile({
      databaseUrl,
      cdcUrl: connector.cdcUrl,
      access,
      slotName,
      topics,
      tables,
      ...soon,
      ...more,
    });
  };

  it('agree when nothing was lost', async () => {
    const { topics, holes, phantoms } = await compared();
    assert.deepEqual([holes, phantoms], [[], []]);
    const { rows, records, doubled, on_the_way } = topics[0] ?? {};
    assert.deepEqual(
      { rows, records, doubled, on_the_way },
      { rows: 20, records: 20, doubled: 0, on_the_way: 0 },
    );
  });

  it('name five of five holes and five of five phantoms, and a record that came twice', async () => {
    // The connector does not see what is written meanwhile, and goes on behind it.
    await scene.admin.query('ALTER PUBLICATION ragline_outbox DROP TABLE orders.outbox');
    const lost = await scene.write(keys.slice(0, 5));
    await scene.admin.query('ALTER PUBLICATION ragline_outbox ADD TABLE orders.outbox');
    const [seen] = await scene.write(keys.slice(5, 10));
    assert.ok(seen);
    await scene.untilThere(25);
    const strange = Array.from({ length: 5 }, () => randomUUIDv7());
    await produce([...strange, seen], strange.at(-1));

    const told: string[] = [];
    const onWithdrawn: ReconcileOptions['onWithdrawn'] = async ({ order_id }, value) =>
      void told.push(`${order_id}: ${value}`);
    const result = await compared({ onWithdrawn });
    assert.deepEqual(result.holes.map(({ event_id }) => event_id).sort(), lost.sort());
    assert.deepEqual(result.phantoms.map(({ event_id }) => event_id).sort(), strange.toSorted());
    assert.equal(result.topics[0]?.doubled, 1);
    // Of the last, Postgres knows the order: what it does not know is a change.
    const [last = '', ...created] = [...strange].reverse();
    assert.deepEqual(
      result.withdrawn_orders.map(({ order_id, kind, events }) => [order_id, kind, events]).sort(),
      [
        ...created.map((id) => [`order of ${id}`, 'withdrawn', 1]),
        [`order of ${last}`, 'taken_back', 1],
      ].sort(),
    );
    assert.deepEqual(told.toSorted(), strange.map((id) => `order of ${id}: strange`).toSorted());
  });

  it('take what the connector has not come to for what it is', async () => {
    await scene.stopConnector();
    await scene.write(keys.slice(0, 3));
    const { topics, holes } = await compared();
    assert.deepEqual([topics[0]?.on_the_way, holes.length], [3, 5]);
    await scene.startConnector();
    await scene.untilThere(34);
    const later = await compared();
    assert.deepEqual([later.topics[0]?.on_the_way, later.holes.length], [0, 5]);
  });

  it('look at what is younger alone when they are told to', async () => {
    const { holes, phantoms } = await compared({ since: new Date(Date.now() + 3_600_000) });
    assert.deepEqual([holes, phantoms], [[], []]);
  });

  it('know the row of a record that came late, however old it is', async () => {
    const late = await scene.write(keys.slice(0, 2));
    await scene.untilThere(36);
    const age = "UPDATE orders.outbox SET created_at = created_at - interval '2 hours' WHERE id = ANY ($1)";
    await scene.admin.query(age, [late]);
    const { phantoms } = await compared({ since: new Date(Date.now() - 60_000) });
    assert.equal(phantoms.length, 5);
    assert.ok(!phantoms.some(({ event_id }) => late.includes(event_id ?? '')));
  });

  /** @param change is an order's change and not its beginning */
  async function produce(ids: readonly string[], change?: string): Promise<void> {
    const log = createLogger({ service: 'test', level: 'error' });
    const producer = await startProducer({ kafka: scene.kafka, log });
    try {
      for (const id of ids) {
        const headers = { id, event_type: id === change ? 'order_status_changed' : 'order_created' };
        const record = { key: Buffer.from(`order of ${id}`), value: Buffer.from('strange'), headers };
        await producer.send(scene.topic.name, [record]);
      }
    } finally {
      await producer.stop();
    }
  }
});
