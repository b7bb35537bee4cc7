import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { connectorStatus, pauseConnector } from '../../parts/apply-connector.ts';
import { withAdmin } from '../../parts/kafka.ts';
import { findLost } from './lost.ts';
import { noteBegun, optionsOf } from './notes.ts';
import { idsOf, openRebuildScene, type RebuildScene } from './rebuild.scene.ts';
import { LateEventsError, rebuild } from './rebuild.ts';
import { recreateTopics } from './recreate.ts';

/** One story, in its order: each test goes on where the last one ended. */
describe('topics written again from the outboxes', function () {
  this.timeout(120_000);
  let scene: RebuildScene;
  // Several of each key, so that their order can be seen; one key is no plain text.
  const keys = Array.from({ length: 30 }, (_, index) => (index % 7 === 0 ? `é-${index}` : randomUUIDv7()));
  const written: string[] = [];
  const write = async (some: readonly string[]) => written.push(...(await scene.write(some)));

  before(async () => {
    scene = await openRebuildScene();
  });
  after(() => scene?.close());

  it('are known to be new by places behind their ends, when no rebuild has ever run', async () => {
    // A line of the topic that was lost, and an event of another key that the connector has let through to the new one.
    const line = await scene.parkAt(50_000);
    await write(keys.slice(0, 1));
    await scene.startConnector();
    await scene.untilThere(1);
    await rebuild(scene.options);
    assert.equal(await line.append(3_000), 'kept');
    await rebuild(scene.options);
    assert.equal(await line.append(3_000), 'kept already');
    await scene.stopConnector();
  });

  it('are the connector’s records byte by byte, in the same partitions and order', async () => {
    await write([...keys, ...keys, ...keys]);
    await scene.startConnector();
    const before = await scene.untilThere(written.length);
    const report = await rebuild({ ...scene.options, recreate: [scene.topic.name] });
    assert.equal(report.topics[0]?.written, written.length);
    assert.deepEqual(await scene.records(), before);
  });

  it('end exactly where the connector goes on, while orders are placed', async () => {
    let isOver = false;
    const writing = (async () => {
      while (!isOver) await write(keys.slice(0, 5));
    })();
    try {
      await rebuild({ ...scene.options, recreate: [scene.topic.name] });
    } finally {
      isOver = true;
      await writing;
    }
    await write(keys);
    await onceEach();
  });

  it('are gone on with after a death in the middle, nothing twice', async () => {
    const dies = (text: string) => {
      if (/^written [1-9]/.test(text)) throw new Error('died');
    };
    await assert.rejects(
      rebuild({ ...scene.options, recreate: [scene.topic.name], onProgress: dies }),
      /died/,
    );
    assert.equal((await findLost(scene.lostOptions))?.unfinished, '');
    await write(keys);
    await rebuild(scene.options);
    assert.equal(await findLost(scene.lostOptions), undefined);
    await write(keys);
    await onceEach();
  });

  it('are gone on with by the same command only, after a death while they were being made anew', async () => {
    const { topic, admin, options } = scene;
    const asked = { recreate: [topic.name], isRestored: false, since: undefined, evenIfLate: false };
    await noteBegun(admin, optionsOf(asked));
    await assert.rejects(rebuild(options), new RegExp(`rebuild --recreate --topics ${topic.name} --yes`));
    await rebuild({ ...options, recreate: [topic.name] });
    await onceEach();
    assert.equal(await findLost(scene.lostOptions), undefined);
  });

  it('are known to have lost everything when they are empty and the outbox is not', async () => {
    await scene.stopConnector();
    await scene.makeAnew();
    assert.deepEqual(await findLost(scene.lostOptions), { empty: [scene.topic.name], unfinished: undefined });
    const hour = 3_600_000;
    assert.equal(await findLost({ ...scene.lostOptions, olderThanMs: hour }), undefined);
    // Asked for what is younger than all of it: then it is not missed any more.
    await rebuild({ ...scene.options, since: new Date() });
    assert.deepEqual(await scene.records(), []);
    assert.equal(await findLost(scene.lostOptions), undefined);
    await rebuild(scene.options);
    await onceEach();
    assert.equal(await findLost(scene.lostOptions), undefined);
  });

  it('are left as they are, and the connector runs, where Kafka refuses to delete them', async () => {
    const { topic, kafka } = scene;
    let isUndone = false;
    const undo = async () => {
      isUndone = true;
    };
    const refused = withAdmin(kafka, (admin) => {
      const deleteTopics = () => Promise.reject(new Error('not authorised'));
      return recreateTopics({ ...admin, deleteTopics }, [topic], { begin: async () => {}, undo });
    });
    await assert.rejects(refused, /not authorised/);
    assert.equal(isUndone, true);
  });

  it('hold nothing twice when nothing was missing', async () => {
    const { topics } = await rebuild({ ...scene.options, since: new Date(Date.now() - 3_600_000) });
    assert.deepEqual([topics[0]?.there, topics[0]?.written], [written.length, 0]);
    await write(keys.slice(0, 3));
    await onceEach();
  });

  it('get what a lost slot has passed over', async () => {
    await scene.stopConnector();
    await eventually(scene.dropSlot);
    const lost = written.length;
    await write(keys);
    const looked = await rebuild({ ...scene.options, dryRun: true });
    assert.equal(looked.topics[0]?.written, keys.length);
    const { topics } = await rebuild({ ...scene.options, since: new Date(Date.now() - 3_600_000) });
    assert.deepEqual([topics[0]?.there, topics[0]?.written], [lost, keys.length]);
    await write(keys.slice(0, 3));
    await onceEach();
  });

  it('are refused when an event would come after a later one of its key, unless that is asked for', async () => {
    const hole = await holeBefore();
    await assert.rejects(rebuild(scene.options), (error) => {
      assert.ok(error instanceof LateEventsError);
      assert.deepEqual(
        error.late.map(({ event_id }) => event_id),
        [hole],
      );
      return true;
    });
    const { topics } = await rebuild({ ...scene.options, evenIfLate: true });
    assert.deepEqual([topics[0]?.written, topics[0]?.late], [1, 1]);
    assert.deepEqual(idsOf(await scene.untilThere(written.length)).sort(), [...written].sort());
  });

  it('are not made anew under a group that is at work on them', async () => {
    const consumer = scene.kafka.consumer({ groupId: `test-${randomUUIDv7()}` });
    await consumer.connect();
    try {
      await consumer.subscribe({ topic: scene.topic.name });
      const joined = new Promise<void>((resolve) => {
        consumer.on(consumer.events.GROUP_JOIN, () => resolve());
      });
      await consumer.run({ eachMessage: async () => {} });
      await joined;
      const refused = () =>
        assert.rejects(
          rebuild({ ...scene.options, recreate: [scene.topic.name] }),
          /at work on topics .* test-/,
        );
      const { connectUrl, name } = scene.options.connector;
      await pauseConnector({ connectUrl, name, paused: true });
      await refused();
      await eventually(async () => {
        assert.equal((await connectorStatus({ connectUrl, name })).state, 'PAUSED');
      });
      await pauseConnector({ connectUrl, name, paused: false });
      await refused();
    } finally {
      await consumer.disconnect();
    }
    // As it was: the connector runs.
    await write(keys.slice(0, 1));
    await scene.untilThere(written.length);
  });

  /** A row of a key that the connector never saw, before one that it did; its id. */
  async function holeBefore(): Promise<string> {
    const [key = ''] = keys;
    await write([key]);
    const later = written.at(-1) ?? '';
    await scene.untilThere(written.length);
    // As if the row had been written before, while there was no slot.
    const hole = randomUUIDv7();
    await scene.stopConnector();
    await scene.admin.query(
      `INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent, number)
       SELECT $1, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent, number - 1
         FROM orders.outbox WHERE id = $2`,
      [hole, later],
    );
    written.push(hole);
    return hole;
  }

  /** Every row is on the topic once, those of a key in the order in which they were written. */
  async function onceEach(): Promise<void> {
    const records = await scene.untilThere(written.length);
    const ids = idsOf(records);
    assert.deepEqual([...ids].sort(), [...written].sort());
    const place = new Map(written.map((id, index) => [id, index]));
    for (const key of keys) {
      const places = records.flatMap((it, index) =>
        it.key === key ? [place.get(ids[index] ?? '') ?? -1] : [],
      );
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      );
    }
  }
});
