import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { poolOf } from '@ragline/postgres/testing';
import { after, afterEach, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { pruneBatches } from './batch-prune.ts';
import { type BatchRunner, startBatchRunner } from './batch-runner.ts';
import { aGroup, aLetterOf } from './letters.support.ts';
import {
  anEvent,
  type Caller,
  dueHead,
  handleElsewhere,
  type Mending,
  openMending,
  parkedLetter,
  quiet,
  tryHead,
} from './mending.support.ts';
import { startReplaySender } from './replay-sender.ts';
import { type Settler, startSettler } from './settle.ts';

describe('batches of letters', function () {
  this.timeout(120_000);
  let scene: Mending;
  let operator: Caller;
  let settler: Settler;
  const runners = new Set<BatchRunner>();

  before(async () => {
    scene = await openMending();
    operator = await scene.caller();
    const onSettled = () => {
      for (const runner of runners) runner.hurry();
    };
    settler = startSettler({ ...scene, onSettled, log: quiet });
  });
  afterEach(async () => {
    for (const runner of runners) await runner.stop();
    runners.clear();
  });
  after(async () => {
    await settler?.stop();
    await scene?.close();
  });

  it('handles all that were selected, and tells how far it is', async () => {
    const { group, tenant } = await letters(30);
    const made = await operator.post('/dead-letters/batches', replay(group));
    assert.equal(made.status, 202, made.text);
    assert.deepEqual([made.body.state, made.body.counts.selected], ['scheduled', 30]);
    assert.equal(made.headers.get('location'), `/v1/dead-letters/batches/${made.body.id}`);
    // Not in the selection: that is frozen.
    await keep(group, tenant, 5);
    run();
    await handled(group, 30);
    const { counts } = await ended(made.body.id, 'done');
    assert.deepEqual([counts.resolved, counts.sent, counts.pending, counts.failed], [30, 30, 0, 0]);
    assert.equal(new Set(sentTo(group)).size, 30);
    assert.equal(sentTo(group).length, 30);
    const list = await operator.get('/dead-letters/batches?limit=1');
    assert.equal(list.body.data[0].id, made.body.id);
    const listed = await operator.get(`/dead-letters?group=${group}&state=waiting`);
    assert.equal(listed.body.data.length, 5);
  });

  it('counts in a dry run and stores nothing', async () => {
    const { group, ids } = await letters(4);
    await operator.post(`/dead-letters/${ids[0]}/discard`, { reason: 'x' });
    const dry = await operator.post('/dead-letters/batches', { ...replay(group), dry_run: true });
    const counts = {
      total: 4,
      selected: 3,
      by_group: { [group]: 4 },
      by_state: { waiting: 3, discarded: 1 },
      skipped: { discarded: 1 },
    };
    assert.deepEqual([dry.status, dry.body], [200, { counts }]);
    const byIds = { ids: [...ids, randomUUIDv7()], action: 'discard', reason: 'x', dry_run: true };
    const answer = await operator.post('/dead-letters/batches', byIds);
    assert.deepEqual(answer.body.counts.skipped, { discarded: 1, not_found: 1 });
    const stored = await scene.owner.query(
      "SELECT FROM dead_letters.batch WHERE selection::text LIKE '%' || $1 || '%'",
      [group],
    );
    assert.equal(stored.rowCount, 0);
  });

  it('leaves no trace when it is cancelled before its delay is over, but in the audit', async () => {
    const { group } = await letters(3);
    const made = await operator.post('/dead-letters/batches', { ...replay(group), delay_s: 600 });
    run();
    const cancelled = await operator.post(`/dead-letters/batches/${made.body.id}/cancel`);
    assert.deepEqual([cancelled.status, cancelled.body.state], [200, 'cancelled']);
    assert.equal((await operator.get(`/dead-letters/batches/${made.body.id}`)).status, 404);
    const items = await scene.owner.query('SELECT FROM dead_letters.batch_item WHERE batch_id = $1', [
      made.body.id,
    ]);
    assert.equal(items.rowCount, 0);
    const { rows } = await scene.owner.query(
      'SELECT verb FROM dead_letters.action WHERE batch_id = $1 ORDER BY id',
      [made.body.id],
    );
    assert.deepEqual(
      rows.map(({ verb }) => verb),
      ['batch_create', 'batch_cancel'],
    );
    assert.deepEqual(sentTo(group), []);
  });

  it('sends nothing more once a pause was answered, and goes on when resumed', async () => {
    const { group } = await letters(20);
    const made = await operator.post('/dead-letters/batches', { ...replay(group), in_flight: 5 });
    const { id } = made.body;
    run();
    await eventually(() => assert.equal(sentTo(group).length, 5));
    assert.equal((await operator.post(`/dead-letters/batches/${id}/pause`)).body.state, 'paused');
    await handled(group, 5);
    await eventually(async () => {
      const { body } = await operator.get(`/dead-letters/batches/${id}`);
      assert.deepEqual([body.counts.resolved, body.counts.in_flight], [5, 0]);
    });
    assert.equal(sentTo(group).length, 5);
    assert.equal((await operator.post(`/dead-letters/batches/${id}/pause`)).body.code, 'conflict');
    assert.equal((await operator.post(`/dead-letters/batches/${id}/resume`)).body.state, 'running');
    await handled(group, 20);
    await ended(id, 'done');
    assert.equal((await operator.post(`/dead-letters/batches/${id}/cancel`)).status, 409);
  });

  it('keeps what it has done when it is cancelled on its way', async () => {
    const { group } = await letters(9);
    const made = await operator.post('/dead-letters/batches', { ...replay(group), in_flight: 3 });
    run();
    await eventually(() => assert.equal(sentTo(group).length, 3));
    assert.equal(
      (await operator.post(`/dead-letters/batches/${made.body.id}/cancel`)).body.state,
      'cancelled',
    );
    await handled(group, 3);
    await eventually(async () => {
      const { body } = await operator.get(`/dead-letters/batches/${made.body.id}`);
      assert.deepEqual([body.state, body.counts.resolved, body.counts.pending], ['cancelled', 3, 6]);
    });
    assert.equal((await operator.post(`/dead-letters/batches/${made.body.id}/resume`)).status, 409);
  });

  it('takes each step of its ramp only after the outcomes of the one before', async () => {
    const { group } = await letters(8);
    const made = await operator.post('/dead-letters/batches', { ...replay(group), ramp: [1, 3] });
    run();
    for (const step of [1, 4, 8]) {
      await eventually(() => assert.equal(sentTo(group).length, step));
      // More than enough turns for the next step, were it not waiting.
      await turnsOf(made.body.id, 3);
      assert.equal(sentTo(group).length, step);
      await handled(group, step);
    }
    await ended(made.body.id, 'done');
  });

  it('stops itself at its nth failure, in lines, and forgives those when resumed', async () => {
    const group = aGroup();
    const tenant = randomUUIDv7();
    const lines: { line: number }[] = [];
    for (let n = 0; n < 8; n++) lines.push(await parkedLetter(scene, { group, event: anEvent(tenant) }));
    const body = { ...replay(group), in_flight: 2, stop_on_failures: 3 };
    const made = await operator.post('/dead-letters/batches', body);
    run();
    await eventually(async () => {
      for (const { line } of lines) await tryHead(scene, line, 'failed');
      const { state } = (await operator.get(`/dead-letters/batches/${made.body.id}`)).body;
      assert.equal(state, 'stopped');
    });
    const stopped = await eventually(async () => {
      const answer = await operator.get(`/dead-letters/batches/${made.body.id}`);
      assert.equal(answer.body.counts.in_flight, 0);
      return answer.body;
    });
    // With two under way at most, the third failure may come with one more.
    assert.ok([3, 4].includes(stopped.counts.failed), JSON.stringify(stopped.counts));
    assert.equal(stopped.counts.sent, stopped.counts.failed);
    assert.match(stopped.state_reason, /failed/);
    assert.ok(stopped.unlucky.every(({ state }: { state: string }) => state === 'failed'));
    await operator.post(`/dead-letters/batches/${made.body.id}/resume`);
    await eventually(async () => {
      for (const { line } of lines) if (await dueHead(scene, line)) await tryHead(scene, line, 'handled');
      const { state } = (await operator.get(`/dead-letters/batches/${made.body.id}`)).body;
      assert.equal(state, 'done');
    });
    const { counts } = await ended(made.body.id, 'done');
    assert.equal(counts.resolved + counts.failed, 8);
  });

  it('passes over what somebody else has dealt with since it was frozen', async () => {
    const { group, ids } = await letters(3);
    const made = await operator.post('/dead-letters/batches', replay(group));
    await operator.post(`/dead-letters/${ids[1]}/discard`, { reason: 'x' });
    run();
    await handled(group, 2);
    const done = await ended(made.body.id, 'done');
    assert.deepEqual([done.counts.resolved, done.counts.skipped], [2, 1]);
    assert.deepEqual(done.unlucky, [{ letter_id: ids[1], state: 'skipped', detail: 'not_waiting' }]);
  });

  it('sends a follower after its head is resolved, and passes over one whose head is not in the batch', async () => {
    const { id: head, line, group, event } = await parkedLetter(scene, { followers: 1 });
    const { rows } = await scene.owner.query(
      'SELECT id, inbox_id FROM streams.parked_record WHERE parked_id = $1 ORDER BY "offset" DESC LIMIT 1',
      [line],
    );
    const place = { 'original-partition': '0', 'original-offset': '11' };
    const record = { ...place, 'parked-record': String(rows[0].id), 'inbox-id': rows[0].inbox_id };
    await scene.keep([aLetterOf(event.tenant_id, { 'original-group': group, ...record })]);
    const both = await scene.owner.query('SELECT id FROM dead_letters.letter WHERE group_id = $1', [group]);
    const ids: string[] = both.rows.map(({ id }) => id);
    const behind = ids.filter((id) => id !== head);
    const asked = { action: 'replay', reason: 'x', delay_s: 0 };
    run();
    const alone = await operator.post('/dead-letters/batches', { ...asked, ids: behind });
    const passed = await ended(alone.body.id, 'done');
    assert.deepEqual(passed.unlucky, [{ letter_id: behind[0], state: 'skipped', detail: 'not_head' }]);
    const together = await operator.post('/dead-letters/batches', { ...asked, ids });
    await eventually(async () => {
      await tryHead(scene, line, 'handled');
      const { body } = await operator.get(`/dead-letters/batches/${together.body.id}`);
      assert.deepEqual([body.state, body.counts.resolved], ['done', 2]);
    });
  });

  it('goes on after its runner died mid-way, and nothing is sent twice', async () => {
    const { group } = await letters(40);
    const made = await operator.post('/dead-letters/batches', { ...replay(group), in_flight: 10 });
    // It keeps its lease, and what it has claimed: it cannot give back anything without its connections.
    const doomed = await openMendingRunner();
    await eventually(() => assert.ok(sentTo(group).length > 0));
    await doomed.kill();
    run();
    await handled(group, 40);
    const { counts } = await ended(made.body.id, 'done');
    assert.equal(counts.resolved, 40);
    assert.deepEqual([sentTo(group).length, new Set(sentTo(group)).size], [40, 40]);
  });

  it('is run by one instance at a time, of several', async () => {
    const { group } = await letters(60);
    const made = await operator.post('/dead-letters/batches', { ...replay(group), in_flight: 7 });
    for (let n = 0; n < 3; n++) run();
    await handled(group, 60);
    await ended(made.body.id, 'done');
    assert.deepEqual([sentTo(group).length, new Set(sentTo(group)).size], [60, 60]);
  });

  it('of a tenant that wait for their rate, or for outcomes, hold up nobody else’s', async () => {
    const slow = await letters(12);
    const asked = { action: 'replay', reason: 'x', delay_s: 0 };
    const waiting: string[] = [];
    for (const id of slow.ids.slice(0, 10)) {
      const ids = [id, ...slow.ids.slice(10)];
      const made = await operator.post('/dead-letters/batches', { ...asked, ids, rate_per_s: 0.01 });
      waiting.push(made.body.id);
    }
    run();
    await eventually(() => assert.ok(sentTo(slow.group).length >= 10), { withinMs: 30_000 });
    const other = await letters(1);
    const admin = await scene.caller(other.tenant);
    const made = await admin.post('/dead-letters/batches', {
      ...asked,
      action: 'discard',
      ids: other.ids,
    });
    await ended(made.body.id, 'done');
    for (const id of waiting) await operator.post(`/dead-letters/batches/${id}/cancel`);
  });

  it('count a letter that failed and was claimed anew before they looked as failed', async () => {
    const { ids } = await letters(1);
    const made = await operator.post('/dead-letters/batches', {
      ids,
      action: 'replay',
      reason: 'x',
      delay_s: 0,
    });
    run();
    await eventually(async () => {
      const { body } = await operator.get(`/dead-letters/batches/${made.body.id}`);
      assert.equal(body.counts.in_flight, 1);
    });
    // As a replay by hand leaves it, all in one moment.
    await scene.owner.query(
      'UPDATE dead_letters.letter SET batch_id = NULL, version = version + 2 WHERE id = $1',
      [ids[0]],
    );
    const { counts } = await ended(made.body.id, 'done');
    assert.deepEqual([counts.failed, counts.resolved], [1, 0]);
  });

  it('discards too, each with the reason', async () => {
    const { group, ids } = await letters(6);
    const body = { ids, action: 'discard', reason: 'test data', delay_s: 0 };
    const made = await operator.post('/dead-letters/batches', body);
    run();
    const { counts } = await ended(made.body.id, 'done');
    assert.equal(counts.discarded, 6);
    const { rows } = await scene.owner.query(
      'SELECT state, discard_reason, batch_id, count(*)::int AS n FROM dead_letters.letter WHERE group_id = $1 GROUP BY 1, 2, 3',
      [group],
    );
    assert.deepEqual(rows, [
      { state: 'discarded', discard_reason: 'test data', batch_id: made.body.id, n: 6 },
    ]);
  });

  it("of an administrator touch the own tenant's letters alone, and are nobody else's", async () => {
    const mine = await letters(2);
    const others = await keep(mine.group, randomUUIDv7(), 3);
    const admin = await scene.caller(mine.tenant);
    const dry = await admin.post('/dead-letters/batches', { ...replay(mine.group), dry_run: true });
    assert.equal(dry.body.counts.total, 2);
    const byIds = { ids: [...mine.ids, ...others], action: 'discard', reason: 'x', delay_s: 0 };
    const made = await admin.post('/dead-letters/batches', byIds);
    assert.equal(made.body.counts.selected, 2);
    const stranger = await scene.caller(randomUUIDv7());
    for (const path of ['', '/pause', '/cancel', '/resume']) {
      const call = path === '' ? stranger.get : stranger.post;
      assert.equal((await call(`/dead-letters/batches/${made.body.id}${path}`)).status, 404);
    }
    assert.deepEqual((await stranger.get('/dead-letters/batches')).body.data, []);
    run();
    await ended(made.body.id, 'done');
    for (const id of others) assert.equal((await scene.letter(id)).state, 'waiting');
  });

  it('are forgotten with their items when they are as old as letters may get', async () => {
    const { group } = await letters(3);
    const body = { ...replay(group), delay_s: 600 };
    const [old, young] = [
      await operator.post('/dead-letters/batches', body),
      await operator.post('/dead-letters/batches', body),
    ];
    await scene.owner.query(
      "UPDATE dead_letters.batch SET created_at = now() - interval '91 days' WHERE id = $1",
      [old.body.id],
    );
    assert.equal(await pruneBatches(scene.pool, 90), 1);
    assert.equal((await operator.get(`/dead-letters/batches/${old.body.id}`)).status, 404);
    assert.equal((await operator.get(`/dead-letters/batches/${young.body.id}`)).status, 200);
    const items = await scene.owner.query('SELECT FROM dead_letters.batch_item WHERE batch_id = $1', [
      old.body.id,
    ]);
    assert.equal(items.rowCount, 0);
  });

  it('are made once for each Idempotency-Key', async () => {
    const { group } = await letters(1);
    const body = { ...replay(group), delay_s: 600 };
    const key = { 'idempotency-key': randomUUID() };
    for (const caller of [operator, await scene.caller(randomUUIDv7())]) {
      const first = await caller.post('/dead-letters/batches', body, key);
      const again = await caller.post('/dead-letters/batches', body, key);
      assert.deepEqual([first.status, again.status, again.body.id], [202, 202, first.body.id], again.text);
      assert.equal(again.headers.get('idempotent-replayed'), 'true');
      const other = await caller.post('/dead-letters/batches', { ...body, reason: 'other' }, key);
      assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);
    }
  });

  it('can be asked for anew with the same Idempotency-Key once they were cancelled without a trace', async () => {
    const { group } = await letters(1);
    const body = { ...replay(group), delay_s: 600 };
    const key = { 'idempotency-key': randomUUID() };
    const first = await operator.post('/dead-letters/batches', body, key);
    const path = `/dead-letters/batches/${first.body.id}/cancel`;
    assert.equal((await operator.post(path, { reason: 'x' })).status, 422);
    assert.equal((await (await scene.caller()).post(path)).status, 200);
    const second = await operator.post('/dead-letters/batches', body, key);
    assert.equal(second.status, 202);
    assert.notEqual(second.body.id, first.body.id);
    assert.equal((await operator.get(`/dead-letters/batches/${second.body.id}`)).status, 200);
  });

  it('refuse what makes no sense, field by field', async () => {
    const good = { filter: {}, action: 'replay', reason: 'x' };
    for (const body of [
      { ...good, ids: [randomUUIDv7()] },
      { action: 'replay', reason: 'x' },
      { ...good, action: 'edit' },
      { ...good, reason: '' },
      { ...good, filter: { unknown: 1 } },
      { ...good, filter: { state: 'dead' } },
      { ...good, unknown: 1 },
      { ...good, rate_per_s: 0 },
      { ...good, ramp: [0] },
      { ...good, in_flight: 0 },
      { ...good, stop_on_failures: -1 },
      { ...good, delay_s: -1 },
      { ids: ['x'], action: 'replay', reason: 'x' },
      { ids: [], action: 'replay', reason: 'x' },
    ]) {
      const answer = await operator.post('/dead-letters/batches', body);
      assert.deepEqual([answer.status, answer.body.code], [422, 'invalid'], JSON.stringify(body));
    }
  });

  const replay = (group: string) => ({ filter: { group }, action: 'replay', reason: 'mended', delay_s: 0 });

  function run(): void {
    runners.add(startBatchRunner({ ...scene.acting, onSent: settler.hurry, leaseMs: 1_000 }));
  }

  async function letters(count: number) {
    const [group, tenant] = [aGroup(), randomUUIDv7()];
    return { group, tenant, ids: await keep(group, tenant, count) };
  }

  /** Letters of a group without order; their ids, oldest first. */
  async function keep(group: string, tenant: string, count: number): Promise<string[]> {
    const made = Array.from({ length: count }, () =>
      aLetterOf(tenant, { 'original-group': group, 'inbox-id': randomUUID() }),
    );
    await scene.keep(made);
    const { rows } = await scene.owner.query(
      'SELECT id FROM dead_letters.letter WHERE group_id = $1 AND tenant_id = $2 ORDER BY id',
      [group, tenant],
    );
    return rows.map(({ id }) => id);
  }

  function sentTo(group: string): string[] {
    return scene.sent
      .filter(({ topic }) => topic === `${group}.replay`)
      .map(({ record }) => String(record.headers?.['inbox-id']));
  }

  /** Handles what is sent to the group, until it was so many. */
  async function handled(group: string, count: number): Promise<void> {
    const seen = handledBy.get(group) ?? new Set<string>();
    handledBy.set(group, seen);
    await eventually(
      async () => {
        for (const inboxId of new Set(sentTo(group))) {
          if (seen.has(inboxId)) continue;
          seen.add(inboxId);
          await handleElsewhere(scene, group, inboxId);
        }
        assert.equal(seen.size, count);
      },
      { withinMs: 60_000 },
    );
  }
  const handledBy = new Map<string, Set<string>>();

  async function ended(id: string, state: string) {
    return eventually(
      async () => {
        const { body } = await operator.get(`/dead-letters/batches/${id}`);
        assert.equal(body.state, state);
        return body;
      },
      { withinMs: 30_000 },
    );
  }

  /** Waits until the batch's runner has looked at it so often. */
  async function turnsOf(id: string, count: number): Promise<void> {
    const leases = new Set<string>();
    await eventually(async () => {
      const { rows } = await scene.owner.query(
        'SELECT lease_until::text AS at FROM dead_letters.batch WHERE id = $1',
        [id],
      );
      leases.add(rows[0].at);
      assert.ok(leases.size > count);
    });
  }

  /** A runner on connections of its own, which die with it. */
  async function openMendingRunner() {
    const pool = poolOf('ragline_dead_letters', 4, scene.name);
    let isDead = false;
    const { encoder, foreignReplayTopics } = scene.acting;
    const producer = {
      exists: async () => true,
      async send(topic: string, records: readonly Parameters<typeof push>[1][]) {
        if (isDead) return new Promise<void>(() => {});
        for (const record of records) push(topic, record);
      },
    };
    const push = (topic: string, record: Mending['sent'][number]['record']) =>
      scene.sent.push({ topic, record });
    const options = { pool, encoder, foreignReplayTopics, log: silent };
    const sender = startReplaySender({ ...options, producer });
    const runner = startBatchRunner({ ...options, sender, leaseMs: 1_000 });
    return {
      async kill() {
        isDead = true;
        await pool.end();
        await runner.stop();
        await sender.stop();
      },
    };
  }
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };
