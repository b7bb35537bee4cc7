import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { Fenced } from './store.ts';
import {
  anError,
  aParkable,
  appendOne,
  atOnce,
  dead,
  later,
  openParking,
  type ParkingScene,
  roomy,
  skipped,
} from './testing.ts';

describe('the owner’s steps in Postgres', function () {
  this.timeout(60_000);
  let scene: ParkingScene;
  before(async () => {
    scene = await openParking();
  });
  after(() => scene.close());
  const assigned = async () => {
    const place = scene.place();
    const { lease } = await scene.store.assign(place, 'test');
    return { place, lease };
  };
  const noEffect = async () => 'done';

  it('parks a head once, however often, and loads it for the next owner', async () => {
    const { place, lease } = await assigned();
    const record = aParkable(5, 'a');
    const first = await scene.store.park(lease, record, Date.now(), later);
    assert.ok(first.kind === 'parked' && !first.detached);
    assert.deepEqual(await scene.store.park(lease, record, Date.now(), later), first);
    const next = await scene.store.assign(place, 'another');
    assert.deepEqual([...next.parked], [['a', first.lineId]]);
    assert.equal(next.lease.epoch, lease.epoch + 1);
  });

  it('fences every step of an owner whose lease has been raised', async () => {
    const { place, lease } = await assigned();
    const record = aParkable(1);
    const parked = await scene.store.park(lease, record, Date.now(), atOnce);
    assert.ok(parked.kind === 'parked');
    const [head] = await scene.headsOf(lease);
    assert.ok(head);
    await scene.store.assign(place, 'another');
    const { store } = scene;
    for (const step of [
      () => store.handle(lease, ['x'], noEffect),
      () => store.park(lease, aParkable(2, 'b'), Date.now(), later),
      () => appendOne(store, lease, aParkable(2), roomy),
      () => store.look(lease),
      () => store.attempt(lease, head, [head.inbox_id], noEffect),
      () => store.fail(lease, head, later),
      () => store.announced(lease, head.recordId, 1),
    ]) {
      await assert.rejects(step(), Fenced);
    }
    assert.equal(await scene.outcomeOf(place, 'x'), undefined);
  });

  it('raises the lease only when the last owner’s transactions have ended, and sees what they left', async () => {
    const { place, lease } = await assigned();
    const order: string[] = [];
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begins } = Promise.withResolvers<void>();
    const handling = scene.store.handle(lease, ['slow'], async () => {
      begins();
      await gate;
      order.push('handled');
    });
    await begun;
    const raising = scene.store.assign(place, 'another').then(() => order.push('raised'));
    // It waits for a lock by then, or has wrongly gone on.
    await untilWaits(scene);
    open();
    await Promise.all([handling, raising]);
    assert.deepEqual(order, ['handled', 'raised']);
  });

  it('handles an id once, in the transaction of its effect', async () => {
    const { place, lease } = await assigned();
    const seen: string[][] = [];
    const look = async (_: unknown, fresh: ReadonlySet<string>) => void seen.push([...fresh].sort());
    await assert.rejects(
      scene.store.handle(lease, ['a', 'b'], async () => {
        throw new Error('rolled back');
      }),
      /rolled back/,
    );
    await scene.store.handle(lease, ['b', 'a'], look);
    await scene.store.handle(lease, ['a', 'c'], look);
    assert.deepEqual(seen, [['a', 'b'], ['c']]);
    assert.equal(await scene.outcomeOf(place, 'c'), 'handled');
  });

  it('keeps followers in order, each once, and knows what it has kept', async () => {
    const { lease } = await assigned();
    const { store } = scene;
    await store.park(lease, aParkable(5), Date.now(), atOnce);
    const outcomes = [];
    for (const offset of [6, 7, 6, 3, 9])
      outcomes.push(await appendOne(store, lease, aParkable(offset), roomy));
    assert.deepEqual(outcomes, ['kept', 'kept', 'kept already', 'kept already', 'kept']);
    assert.equal(await appendOne(store, lease, aParkable(6, 'b'), roomy), 'gone');
    const heads = await store.due(lease, 10);
    assert.deepEqual(
      heads.map(({ offset, attempt }) => [offset, attempt]),
      [
        ['5', 1],
        ['6', 0],
        ['7', 0],
        ['9', 0],
      ],
    );
  });

  it('has no room beyond its caps: of a line in records and bytes, of a partition in records', async () => {
    const { place } = await assigned();
    const { store } = scene;
    let { lease } = await store.assign(place, 'test');
    await store.park(lease, aParkable(1), Date.now(), later);
    const append = (offset: number, caps: Partial<typeof roomy>) =>
      appendOne(store, lease, aParkable(offset), { ...roomy, ...caps });
    assert.equal(await append(2, { lineRecords: 1 }), 'full');
    assert.equal(await append(2, { lineBytes: 100 }), 'full');
    assert.equal(await append(2, { partitionRecords: 1 }), 'full');
    assert.equal(await append(2, { lineRecords: 2 }), 'kept');
    // The next owner counts what the last one has left.
    lease = (await store.assign(place, 'another')).lease;
    assert.equal(await append(3, { partitionRecords: 2 }), 'full');
  });

  it('parks no head beyond the cap of the partition, until operators have made room', async () => {
    const { place, lease } = await assigned();
    const { store } = scene;
    const caps = { partitionRecords: 2 };
    const park = (offset: number, key: string) =>
      store.park(lease, aParkable(offset, key), Date.now(), dead, caps);
    const all = await Promise.all([park(1, 'a'), park(2, 'b'), park(3, 'c')]);
    assert.deepEqual(all.map(({ kind }) => kind).sort(), ['full', 'parked', 'parked']);
    assert.equal((await park(4, 'd')).kind, 'full');
    assert.equal((await scene.linesOf(place)).length, 2);
    const [letter] = await store.unannounced(lease, 1);
    await scene.operate('SELECT status FROM streams.discard_parked(NULL, $1)', [[letter?.recordId]]);
    assert.equal((await park(4, 'd')).kind, 'parked');
    assert.equal((await park(5, 'e')).kind, 'full');
  });

  it('drains a line in order, and the line goes with its last record', async () => {
    const { place, lease } = await assigned();
    const { store } = scene;
    const parked = await store.park(lease, aParkable(5), Date.now(), atOnce);
    await appendOne(store, lease, aParkable(6), roomy);
    const seen: string[] = [];
    const gone: boolean[] = [];
    for (const head of await store.due(lease, 10)) {
      const done = await store.attempt(lease, head, [head.inbox_id], async (_, fresh) => {
        assert.deepEqual([...fresh], [head.inbox_id]);
        seen.push(head.offset);
      });
      assert.ok(done.kind === 'done');
      gone.push(done.lineGone);
    }
    assert.deepEqual([seen, gone, parked.kind], [['5', '6'], [false, true], 'parked']);
    assert.deepEqual(await scene.linesOf(place), []);
  });

  it('does not lose a follower that comes while the last record leaves', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { place, lease } = await assigned();
      const { store } = scene;
      await store.park(lease, aParkable(1), Date.now(), atOnce);
      const [head] = await scene.headsOf(lease);
      assert.ok(head);
      const [done, kept] = await Promise.all([
        store.attempt(lease, head, [head.inbox_id], noEffect),
        appendOne(store, lease, aParkable(2), roomy),
      ]);
      assert.ok(done.kind === 'done');
      const lines = await scene.linesOf(place);
      if (kept === 'kept') assert.deepEqual([done.lineGone, lines.map(({ depth }) => depth)], [false, [1]]);
      else assert.deepEqual([kept, done.lineGone, lines], ['gone', true, []]);
    }
  });

  it('looks again under the record’s lock: not early, not twice, not what an operator has changed', async () => {
    const { lease } = await assigned();
    const { store } = scene;
    const parked = await store.park(lease, aParkable(5), Date.now(), atOnce);
    await appendOne(store, lease, aParkable(6), roomy);
    const [head, follower] = await store.due(lease, 10);
    assert.ok(head && follower && parked.kind === 'parked');
    // Not before those in front of it have left.
    assert.deepEqual(await store.attempt(lease, follower, [follower.inbox_id], noEffect), { kind: 'moved' });
    assert.equal(await store.fail(lease, head, later), 'booked');
    // The same answer again: it is booked once.
    assert.equal(await store.fail(lease, head, later), 'booked');
    assert.deepEqual(await store.attempt(lease, head, [head.inbox_id], noEffect), { kind: 'moved' });
    await scene.makeDue(parked.lineId);
    const [again] = await scene.headsOf(lease);
    assert.ok(again);
    assert.equal(again.attempt, 2);
    await scene.operate('SELECT streams.edit_parked(NULL, $1, $2, $3, $4, $5, true)', [
      again.recordId,
      again.inbox_id,
      'edited-id',
      Buffer.from('mended'),
      '{}',
    ]);
    assert.deepEqual(await store.attempt(lease, again, [again.inbox_id], noEffect), { kind: 'moved' });
    assert.equal(await store.fail(lease, again, later), 'moved');
    const [edited] = await scene.headsOf(lease);
    assert.deepEqual(
      [edited?.inbox_id, edited?.event_id, String(edited?.value)],
      ['edited-id', 'edited-id', 'mended'],
    );
  });

  it('announces a dead record until that is marked, and again when it dies again', async () => {
    const { lease } = await assigned();
    const { store } = scene;
    const parked = await store.park(lease, aParkable(5), Date.now(), dead);
    assert.ok(parked.kind === 'parked');
    assert.deepEqual(await store.look(lease), { due: false, letters: true });
    const [letter] = await store.unannounced(lease, 10);
    assert.ok(letter);
    assert.deepEqual([letter.deaths, letter.error], [1, anError]);
    await store.announced(lease, letter.recordId, letter.deaths);
    assert.deepEqual(await store.look(lease), { due: false, letters: false });
    await scene.makeDue(parked.lineId);
    const [head] = await scene.headsOf(lease);
    assert.ok(head);
    await store.fail(lease, head, dead);
    // A late mark of the first death does not hide the second.
    await store.announced(lease, letter.recordId, 1);
    assert.equal((await store.unannounced(lease, 10))[0]?.deaths, 2);
  });

  it('parks what has no key on a line of its own, once', async () => {
    const { place, lease } = await assigned();
    const { store } = scene;
    const record = aParkable(5, null, { inbox_id: 'at:orders.v1/0/5', event_id: '' });
    const first = await store.park(lease, record, Date.now(), dead);
    assert.ok(first.kind === 'parked' && first.detached);
    assert.deepEqual(await store.park(lease, record, Date.now(), dead), first);
    assert.equal((await scene.linesOf(place)).length, 1);
    // The same step sent again at once, as after a connection that was lost.
    const other = aParkable(6, null);
    await Promise.all([1, 2, 3, 4].map(() => store.park(lease, other, Date.now(), dead)));
    assert.equal((await scene.linesOf(place)).length, 2);
    assert.deepEqual((await store.assign(place, 'another')).parked, new Map());
  });

  it('lets followers go on where a dead head is skipped, and a late copy of it finds its id closed', async () => {
    const { place, lease } = await assigned();
    const { store } = scene;
    const record = aParkable(5);
    const first = await store.park(lease, record, Date.now(), skipped);
    assert.ok(first.kind === 'parked' && first.detached);
    assert.deepEqual(await store.park(lease, record, Date.now(), skipped), { kind: 'handled' });
    assert.equal(await scene.outcomeOf(place, record.inbox_id), 'released');
    const head = aParkable(6, 'b');
    await store.park(lease, head, Date.now(), atOnce);
    await appendOne(store, lease, aParkable(7, 'b'), roomy);
    const [due] = await scene.headsOf(lease);
    assert.ok(due);
    assert.equal(await store.fail(lease, due, skipped), 'booked');
    assert.equal(await store.fail(lease, due, skipped), 'moved');
    const lines = await scene.linesOf(place);
    assert.deepEqual(
      lines.map(({ key, detached, depth, dead: isDead }) => [key, detached, depth, isDead]),
      [
        ['a', true, 1, true],
        ['b', false, 1, false],
        ['b', true, 1, true],
      ],
    );
    const letters = await store.unannounced(lease, 10);
    assert.deepEqual(
      letters.map(({ event_id, deaths }) => [event_id, deaths]),
      [
        [record.event_id, 1],
        [head.event_id, 1],
      ],
    );
    assert.ok(letters.every(({ inbox_id, event_id }) => inbox_id !== event_id));
  });

  it('parks keys of any length and bytes, and keeps value and headers as they were', async () => {
    const { lease } = await assigned();
    const { store } = scene;
    const key = randomBytes(100_000);
    const headers = {
      id: 'x',
      raw: Buffer.from([0, 255, 254]),
      twice: [Buffer.from('1'), Buffer.from('2')],
      nul: 'a\0b',
    };
    const record = aParkable(1, null, { key, value: Buffer.from([0, 1, 255]), headers });
    const verdict = { ...atOnce, error: { ...anError, message: 'a\0b\uD800' } };
    await store.park(lease, record, Date.now(), verdict);
    assert.equal(await appendOne(store, lease, { ...aParkable(2), key }, roomy), 'kept');
    const [head] = await scene.headsOf(lease);
    assert.ok(head);
    assert.deepEqual([head.key, head.value, head.timestamp], [key, record.value, record.timestamp]);
    assert.deepEqual(head.headers, {
      id: Buffer.from('x'),
      raw: headers.raw,
      twice: headers.twice,
      nul: Buffer.from('a\0b'),
    });
  });

  it('keeps a key of two partitions apart, since their offsets cannot be compared', async () => {
    const { place, lease } = await assigned();
    const other = (await scene.store.assign({ ...place, partition: 1 }, 'test')).lease;
    const first = await scene.store.park(lease, aParkable(100), Date.now(), later);
    const second = await scene.store.park(other, aParkable(5), Date.now(), later);
    assert.ok(first.kind === 'parked' && second.kind === 'parked');
    assert.notEqual(first.lineId, second.lineId);
  });
});

/** Until a statement of the scene's database waits for a lock. */
async function untilWaits({ admin, database }: ParkingScene): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const { rowCount } = await admin.query(
      "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'",
      [database.name],
    );
    if (rowCount) return;
    assert.ok(Date.now() < deadline, 'nothing waits for a lock');
  }
}
