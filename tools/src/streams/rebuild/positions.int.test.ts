import assert from 'node:assert/strict';
import {
  aParkable,
  appendOne,
  dead,
  openParking,
  type ParkingScene,
  roomy,
} from '@ragline/streams/parking/testing';
import { after, before, describe, it } from 'mocha';
import { beginTopics } from './positions.ts';

describe('what Postgres remembers of places in a topic', function () {
  this.timeout(60_000);
  let scene: ParkingScene;
  before(async () => {
    scene = await openParking();
  });
  after(() => scene?.close());

  const topicAs = (id: string, ends: number[]) => ({
    plan: async (topic: string) => ({ topic, id, epoch: 0, leaders: [0] }),
    endOffsets: async () => ends,
  });
  const begin = (topic: string, id: string, ends: number[]) =>
    beginTopics(scene.admin, topicAs(id, ends), [topic]);
  const parkedAt = async (offset: number, changes = {}) => {
    const place = { ...scene.place(), topic: `test.${crypto.randomUUID()}` };
    const { lease } = await scene.store.assign(place, 'test');
    const record = aParkable(offset, 'a', changes);
    await scene.store.park(lease, record, Date.now(), dead);
    return { place, record };
  };

  it('is kept on a topic that goes on, and forgotten once on one that has another id', async () => {
    const { place } = await parkedAt(50);
    assert.deepEqual(await begin(place.topic, 'one', [51]), []);
    assert.deepEqual(await begin(place.topic, 'one', [60]), []);
    const { lease } = await scene.store.assign(place, 'test');
    assert.equal(await appendOne(scene.store, lease, aParkable(40), roomy), 'kept already');
    assert.deepEqual(await begin(place.topic, 'two', [70]), [place.topic]);
    assert.deepEqual(await begin(place.topic, 'two', [70]), []);
    await assert.rejects(appendOne(scene.store, lease, aParkable(40), roomy));
    const { lease: next } = await scene.store.assign(place, 'test');
    assert.equal(await appendOne(scene.store, next, aParkable(40), roomy), 'kept');
  });

  it('is forgotten the first time when it lies behind the end, or the topic is empty', async () => {
    for (const end of [0, 49, 50]) {
      const { place } = await parkedAt(50);
      assert.deepEqual(await begin(place.topic, 'one', [end]), [place.topic]);
    }
  });

  it('does not take new garbage for what waits under the same address', async () => {
    const { place, record } = await parkedAt(50);
    const inbox_id = `at:${place.topic}/0/51`;
    const garbage = { inbox_id, event_id: '' };
    const { lease } = await scene.store.assign(place, 'test');
    assert.equal(await appendOne(scene.store, lease, aParkable(51, 'a', garbage), roomy), 'kept');
    await begin(place.topic, 'one', [0]);
    const { lease: next } = await scene.store.assign(place, 'test');
    assert.equal(await appendOne(scene.store, next, { ...record, offset: '3' }, roomy), 'kept already');
    assert.equal(await appendOne(scene.store, next, aParkable(51, 'a', garbage), roomy), 'kept');
  });
});
