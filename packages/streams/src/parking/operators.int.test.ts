import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import type { Lease, Place } from './store.ts';
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
} from './testing.ts';

type Status = { record_id: string; status: string };

describe('what operators do to parked records', function () {
  this.timeout(60_000);
  let scene: ParkingScene;
  before(async () => {
    scene = await openParking();
  });
  after(() => scene.close());

  const tenant = randomUUID();
  const noEffect = async () => 'done';
  const assigned = async () => {
    const place = scene.place();
    return { place, lease: (await scene.store.assign(place, 'test')).lease };
  };
  /** A line of three records, its head dead or waiting; the ids of its records, in order. */
  const aLine = async (lease: Lease, verdict = dead) => {
    const own = (offset: number) => aParkable(offset, 'a', { tenant_id: tenant });
    const records = [own(5), own(6), own(7)];
    const [head, ...followers] = records;
    assert.ok(head);
    const parked = await scene.store.park(lease, head, Date.now(), verdict);
    assert.ok(parked.kind === 'parked');
    for (const follower of followers) await appendOne(scene.store, lease, follower, roomy);
    const { rows } = await scene.admin.query<{ id: string }>(
      'SELECT id::text FROM streams.parked_record WHERE parked_id = $1 ORDER BY "offset"',
      [parked.lineId],
    );
    return { lineId: parked.lineId, ids: rows.map(({ id }) => Number(id)), records };
  };
  const statusesOf = async (verb: string, ids: readonly number[], of: string | null = null) => {
    const { rows } = await scene.operators.query<Status>(
      `SELECT record_id, status FROM streams.${verb}($1, $2)`,
      [of, ids],
    );
    return rows.map(({ status }) => status);
  };
  const fateOf = async (record: number, group: string, inboxId: string) => {
    const { rows } = await scene.operators.query<Record<string, unknown>>(
      'SELECT state, deaths, inbox_id, outcome FROM streams.fate($1, $2, $3)',
      [[record], [group], [inboxId]],
    );
    return rows[0];
  };
  const editOf = (record: number, expected: string, id: string, of: string | null = null) =>
    scene.operate<string>('SELECT streams.edit_parked($1, $2, $3, $4, $5, $6, true)', [
      of,
      record,
      expected,
      id,
      Buffer.from('mended'),
      '{}',
    ]);
  const releaseOf = async (line: number, of: string | null = null) => {
    const { rows } = await scene.operators.query<Status>('SELECT * FROM streams.release_parked($1, $2)', [
      of,
      line,
    ]);
    return rows.map(({ status }) => status);
  };

  it('replay the head alone, which is due then and keeps its attempts', async () => {
    const { place, lease } = await assigned();
    const { ids } = await aLine(lease);
    assert.deepEqual(await statusesOf('replay_parked', [...ids, 999_999_999]), [
      'replaying',
      'not_head',
      'not_head',
      'gone',
    ]);
    const [head] = await scene.headsOf(lease);
    assert.deepEqual([head?.recordId, head?.attempt, head?.deaths], [ids[0], 1, 1]);
    assert.equal((await fateOf(ids[0] ?? 0, place.group_id, ''))?.state, 'waiting');
  });

  it('discard any record: its id is closed, and its followers stay in their places', async () => {
    const { place, lease } = await assigned();
    const { ids, records } = await aLine(lease, later);
    assert.deepEqual(await statusesOf('discard_parked', [ids[1] ?? 0]), ['discarded']);
    assert.equal(await scene.outcomeOf(place, records[1]?.inbox_id ?? ''), 'discarded');
    // The head has not left, so it is not due before its time.
    assert.deepEqual(await scene.headsOf(lease), []);
    assert.deepEqual(
      await statusesOf('discard_parked', [ids[1] ?? 0, ids[0] ?? 0]),
      ['discarded', 'gone'].sort(),
    );
    const [head] = await scene.headsOf(lease);
    assert.deepEqual([head?.recordId, head?.attempt], [ids[2], 0]);
    assert.deepEqual(await statusesOf('discard_parked', [ids[2] ?? 0]), ['discarded']);
    assert.deepEqual(await scene.linesOf(place), []);
    const fate = await fateOf(ids[2] ?? 0, place.group_id, records[2]?.inbox_id ?? '');
    assert.deepEqual([fate?.state, fate?.outcome], ['gone', 'discarded']);
  });

  it('discard nothing that was handled, and nothing while it is being handled', async () => {
    const { lease } = await assigned();
    const { ids, records } = await aLine(lease, atOnce);
    const [head] = await scene.headsOf(lease);
    assert.ok(head);
    // A second copy of an event, which waits in another line when its group handles the first.
    const copy = aParkable(9, 'b', { inbox_id: records[0]?.inbox_id ?? '' });
    await scene.store.park(lease, aParkable(8, 'b'), Date.now(), dead);
    await appendOne(scene.store, lease, copy, roomy);
    const { rows } = await scene.admin.query<{ id: string }>(
      'SELECT max(id)::text AS id FROM streams.parked_record',
    );
    await scene.store.attempt(lease, head, [head.inbox_id], async () => {
      assert.deepEqual(await statusesOf('discard_parked', ids), ['busy', 'discarded', 'discarded']);
    });
    assert.deepEqual(await statusesOf('discard_parked', ids), ['gone', 'gone', 'gone']);
    assert.deepEqual(await statusesOf('discard_parked', [Number(rows[0]?.id)]), ['already_handled']);
  });

  it('do not make the others of a call wait as long for one that is busy, and leave the connection as it was', async () => {
    const { lease } = await assigned();
    const { ids } = await aLine(lease, atOnce);
    const [head] = await scene.headsOf(lease);
    assert.ok(head);
    await scene.store.attempt(lease, head, [head.inbox_id], async () => {
      const client = await scene.operators.connect();
      try {
        const before = await client.query('SHOW lock_timeout');
        const { rows } = await client.query<Status>('SELECT * FROM streams.replay_parked(NULL, $1)', [ids]);
        assert.deepEqual(
          rows.map(({ status }) => status),
          ['busy', 'not_head', 'not_head'],
        );
        assert.deepEqual((await client.query('SHOW lock_timeout')).rows, before.rows);
      } finally {
        client.release();
      }
    });
  });

  it('edit a record in its place, under an id of its own, which alone takes effect', async () => {
    const { place, lease } = await assigned();
    const { ids, records } = await aLine(lease);
    const old = records[0]?.inbox_id ?? '';
    const id = randomUUID();
    assert.deepEqual(await editOf(ids[0] ?? 0, 'another', id), ['moved']);
    assert.deepEqual(await editOf(ids[0] ?? 0, old, id), ['edited']);
    assert.equal(await scene.outcomeOf(place, old), 'edited');
    // The owner that parks it again, its answer lost, finds it in the line and not only closed.
    const head = records[0];
    assert.ok(head);
    assert.equal((await scene.store.park(lease, head, Date.now(), dead)).kind, 'parked');
    const [due] = await scene.headsOf(lease);
    assert.deepEqual(
      [due?.inbox_id, due?.event_id, due?.tenant_id, String(due?.value)],
      [id, id, tenant, 'mended'],
    );
    // A follower's edit does not make its head due.
    assert.deepEqual(await editOf(ids[1] ?? 0, records[1]?.inbox_id ?? '', randomUUID()), ['edited']);
  });

  it('release a head to a line of its own, dead and to be announced, and let its followers go on', async () => {
    const { place, lease } = await assigned();
    const { lineId, ids, records } = await aLine(lease, later);
    assert.deepEqual(await releaseOf(lineId), ['released']);
    assert.equal(await scene.outcomeOf(place, records[0]?.inbox_id ?? ''), 'released');
    const [head] = await scene.headsOf(lease);
    assert.deepEqual([head?.recordId, head?.attempt], [ids[1], 0]);
    const [letter] = await scene.store.unannounced(lease, 10);
    assert.deepEqual([letter?.recordId, letter?.event_id, letter?.deaths], [ids[0], records[0]?.event_id, 1]);
    assert.notEqual(letter?.inbox_id, records[0]?.inbox_id);
    const lines = await scene.linesOf(place);
    assert.deepEqual(
      lines.map(({ detached, depth }) => [detached, depth]),
      [
        [false, 2],
        [true, 1],
      ],
    );
    assert.deepEqual(await releaseOf(999_999_999), ['gone']);
  });

  const restoreOf = (place: Place, by: string | null, eventId: string | undefined, inboxId = 'restored:x') =>
    scene.operate<number | null>(
      'SELECT streams.restore_parked($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)',
      [
        by,
        place.group_id,
        place.topic,
        place.partition,
        5,
        Buffer.from('a'),
        tenant,
        eventId,
        Buffer.from('value 5'),
        '{"id": {"t": "x"}}',
        JSON.stringify(anError),
        inboxId,
      ],
    );

  it('restore once, however often the same restore is asked for', async () => {
    const { place, lease } = await assigned();
    const { ids, records } = await aLine(lease, later);
    await statusesOf('discard_parked', [ids[0] ?? 0]);
    const of = (inboxId: string) => restoreOf(place, tenant, records[0]?.event_id, inboxId);
    const [[first], [second]] = await Promise.all([of('restored:1'), of('restored:1')]);
    assert.ok(typeof first === 'number');
    assert.equal(second, first);
    assert.deepEqual(await of('restored:1'), [first]);
    assert.deepEqual(await statusesOf('discard_parked', [first]), ['discarded']);
    assert.deepEqual(await of('restored:1'), [null]);
    const [another] = await of('restored:2');
    assert.ok(typeof another === 'number' && another !== first);
    await assert.rejects(of(''), { code: '22023' });
  });

  it('restore what was discarded beside its line, under a new id', async () => {
    const { place, lease } = await assigned();
    const { lineId, ids, records } = await aLine(lease, later);
    await statusesOf('discard_parked', [ids[0] ?? 0]);
    const of = (by: string | null) => restoreOf(place, by, records[0]?.event_id);
    assert.deepEqual(await of(randomUUID()), [null]);
    const [made] = await of(tenant);
    assert.ok(typeof made === 'number' && lineId > 0);
    const [letter] = await scene.store.unannounced(lease, 10);
    assert.deepEqual([letter?.recordId, letter?.event_id, letter?.deaths], [made, records[0]?.event_id, 1]);
    assert.deepEqual(await statusesOf('replay_parked', [made]), ['replaying']);
    const restored = (await scene.headsOf(lease)).find(({ recordId }) => recordId === made);
    assert.ok(restored?.detached);
    const done = await scene.store.attempt(
      lease,
      restored,
      [restored.inbox_id],
      async (_, fresh) => fresh.size,
    );
    assert.deepEqual(done, { kind: 'done', value: 1, lineGone: true });
    assert.equal(await scene.outcomeOf(place, records[0]?.inbox_id ?? ''), 'discarded');
  });

  it('are bound to their tenant; what belongs to none is the operator’s alone', async () => {
    const { lease } = await assigned();
    const { lineId, ids, records } = await aLine(lease);
    const other = randomUUID();
    const garbage = await scene.store.park(lease, aParkable(9, 'g'), Date.now(), dead);
    assert.ok(garbage.kind === 'parked');
    for (const verb of ['replay_parked', 'discard_parked'])
      assert.deepEqual(await statusesOf(verb, ids, other), ['gone', 'gone', 'gone']);
    assert.deepEqual(await editOf(ids[0] ?? 0, records[0]?.inbox_id ?? '', randomUUID(), other), ['gone']);
    assert.deepEqual(await releaseOf(lineId, other), ['gone']);
    assert.deepEqual(await releaseOf(garbage.lineId, tenant), ['gone']);
    const linesOf = (by: string | null) =>
      scene.operate<number>('SELECT id FROM streams.parked_lines($1, $2, NULL, NULL, 10)', [
        by,
        lease.place.group_id,
      ]);
    assert.deepEqual(await linesOf(other), []);
    assert.deepEqual(await linesOf(tenant), [lineId]);
    assert.deepEqual(await linesOf(null), [lineId, garbage.lineId]);
    assert.deepEqual(await statusesOf('replay_parked', [ids[0] ?? 0], tenant), ['replaying']);
  });

  it('close ids of groups without order, once', async () => {
    const group = scene.place().group_id;
    const close = (outcome: string) =>
      scene.operate<string>('SELECT status FROM streams.close_unordered($1, $2, $3) ORDER BY inbox_id', [
        [group, group],
        ['a', 'b'],
        outcome,
      ]);
    assert.deepEqual(await close('discarded'), ['closed', 'closed']);
    assert.deepEqual(await close('edited'), ['already_handled', 'already_handled']);
    await assert.rejects(close('handled'), /discarded or edited/);
  });

  it('are the dead letter service; a consumer’s role has its own groups’ steps, and nobody the tables', async () => {
    for (const statement of [
      'SELECT FROM streams.parked_record',
      'SELECT FROM streams.parked_key',
      'SELECT FROM streams.lease',
    ]) {
      await assert.rejects(scene.pool.query(statement), /permission denied/, statement);
      await assert.rejects(scene.operators.query(statement), /permission denied/, statement);
    }
    for (const statement of [
      "SELECT streams.replay_parked(NULL, '{1}')",
      "SELECT streams.fate('{1}', '{g}', '{i}')",
      'SELECT streams.take_out(1, 1)',
      "SELECT streams.fence('test-x', 't', 0, 1)",
    ]) {
      await assert.rejects(scene.pool.query(statement), /permission denied/, statement);
    }
    await assert.rejects(
      scene.pool.query("SELECT streams.assign('orders', 't', 0, 'x')"),
      /does not consume as group/,
    );
    await assert.rejects(
      scene.pool.query("SELECT streams.due('orders', 't', 0, 1, 1)"),
      /does not consume as group/,
    );
  });

  it('and owners wait for each other and never lock each other out', async () => {
    const { place, lease } = await assigned();
    const { lineId, ids } = await aLine(lease, atOnce);
    const [head] = await scene.headsOf(lease);
    assert.ok(head);
    const [done, released, kept] = await Promise.all([
      scene.store.attempt(lease, head, [head.inbox_id], noEffect),
      releaseOf(lineId),
      appendOne(scene.store, lease, aParkable(8, 'a', { tenant_id: tenant }), roomy),
    ]);
    // Whoever came first: one of the two had the head, or each one head after the other.
    assert.deepEqual(released, ['released']);
    assert.ok(done.kind === 'done' || done.kind === 'moved');
    assert.equal(kept, 'kept');
    const lines = await scene.linesOf(place);
    const left = lines.reduce((sum, { depth }) => sum + depth, 0);
    assert.equal(left, ids.length + 1 - (done.kind === 'done' ? 1 : 0));
  });
});
