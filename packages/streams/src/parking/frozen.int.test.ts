import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { Fenced } from './store.ts';
import {
  aParkable,
  appendOne,
  atOnce,
  openParking,
  openTransaction,
  type ParkingScene,
  roomy,
} from './testing.ts';

describe('an owner beside others', function () {
  this.timeout(60_000);
  let scene: ParkingScene;
  before(async () => {
    scene = await openParking();
  });
  after(() => scene.close());

  it('does not keep the next one out while it is frozen: Postgres ends its idle transaction', async () => {
    const place = scene.place();
    const { lease } = await scene.store.assign(place, 'frozen');
    const { promise: thaw, resolve: wake } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begins } = Promise.withResolvers<void>();
    const handling = scene.store.handle(lease, ['slow'], async (client) => {
      begins();
      await thaw;
      await client.query('SELECT 1');
    });
    handling.catch(() => {});
    await begun;
    const next = await raised(() => scene.store.assign(place, 'next'));
    assert.equal(next.lease.epoch, lease.epoch + 1);
    wake();
    // The reason, not only that the connection is gone: else it would look as if Postgres were away.
    await assert.rejects(handling, { code: '25P03' });
    assert.equal(await scene.outcomeOf(place, 'slow'), undefined);
    await assert.rejects(
      scene.store.handle(lease, ['slow'], async () => {}),
      Fenced,
    );
  });

  it('loses no follower whose append it has to wait for: a line is judged empty under its lock', async () => {
    // As one statement, DELETE … WHERE NOT EXISTS (a record) would judge by a snapshot from before the append.
    const place = scene.place();
    const { lease } = await scene.store.assign(place, 'test');
    const parked = await scene.store.park(lease, aParkable(5), Date.now(), atOnce);
    assert.ok(parked.kind === 'parked');
    const appending = await openTransaction(scene.admin);
    await appending.query('SELECT FROM streams.parked_key WHERE id = $1 FOR UPDATE', [parked.lineId]);
    const [head] = await scene.headsOf(lease);
    assert.ok(head);
    const leaving = scene.store.attempt(lease, head, [head.inbox_id], async () => {});
    await appending.query('UPDATE streams.parked_key SET depth = depth + 1, last_offset = 6 WHERE id = $1', [
      parked.lineId,
    ]);
    await appending.query(
      `INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, headers, stamped_at, bytes)
       VALUES ($1, 6, 'follower', 'follower', '{}', 0, 0)`,
      [parked.lineId],
    );
    await appending.query('COMMIT');
    appending.release();
    assert.deepEqual(await leaving, { kind: 'done', value: undefined, lineGone: false });
    assert.equal((await scene.headsOf(lease))[0]?.inbox_id, 'follower');
    assert.equal(await appendOne(scene.store, lease, aParkable(7), roomy), 'kept');
  });
});

/** Raising gives up after the pool's lock_timeout, and is tried again, as its caller does. */
async function raised<T>(raise: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    try {
      return await raise();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
