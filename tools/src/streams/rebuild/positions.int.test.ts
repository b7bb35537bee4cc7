import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { allTopics } from '@ragline/schemas/topics';
import {
  aParkable,
  appendOne,
  dead,
  openParking,
  type ParkingScene,
  roomy,
} from '@ragline/streams/parking/testing';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { stack } from '../../../../tests/support/stack.ts';
import { beginTopics } from './positions.ts';

const main = fileURLToPath(new URL('../../main.ts', import.meta.url));

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

  it('is about the topics that are there, once a stack has started or topics were applied', async () => {
    const { databaseUrl } = stack();
    const applied = { ...process.env, DATABASE_URL: scene.database.url };
    await promisify(execFile)(process.execPath, [main, 'topics', 'apply'], { env: applied });
    const started = await knownIn(databaseUrl);
    assert.deepEqual(await knownIn(scene.database.url), started);
    assert.deepEqual(
      started.map(({ topic }) => topic),
      allTopics.map(({ name }) => name).sort(),
    );
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

/** Topics of the system and their ids, as Postgres knows them. */
async function knownIn(databaseUrl: string) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ topic: string; topic_id: string }>(
      'SELECT topic, topic_id FROM streams.topic_incarnation WHERE topic = ANY ($1) ORDER BY topic COLLATE "C"',
      [allTopics.map(({ name }) => name)],
    );
    return rows;
  } finally {
    await client.end();
  }
}
