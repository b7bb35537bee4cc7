import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { filterFrom } from './letter-filter.ts';
import { aGroup, aLetter } from './letters.support.ts';
import {
  anEvent,
  type Caller,
  dueHead,
  handleElsewhere,
  inboxOf,
  type Mending,
  openMending,
  parkedLetter,
  tryHead,
  unorderedLetter,
} from './mending.support.ts';
import { system } from './scope.ts';
import { settle } from './settle.ts';

const foreignGroup = aGroup();

describe('what people do with a letter', function () {
  this.timeout(60_000);
  let scene: Mending;
  let operator: Caller;

  before(async () => {
    scene = await openMending({ foreignReplayTopics: new Map([[foreignGroup, 'billing.in']]) });
    operator = await scene.caller();
  });
  after(() => scene?.close());

  describe('replaying', () => {
    it('makes the head of a line due, tells of it, and is settled as the group goes on', async () => {
      const { id, line, group, event } = await parkedLetter(scene, { followers: 2 });
      const answer = await operator.post(`/dead-letters/${id}/replay`);
      assert.deepEqual([answer.status, answer.body.state], [200, 'replaying'], answer.text);
      assert.equal(answer.headers.get('etag'), `"${answer.body.version}"`);
      assert.equal(await tryHead(scene, line, 'handled'), 'handled');
      await settle(scene);
      assert.equal((await scene.letter(id)).state, 'resolved');
      assert.deepEqual(await inboxOf(scene, group), { [event.event_id]: 'handled' });
      assert.deepEqual(await scene.events(id), [
        'dead_letter_kept',
        'dead_letter_replaying',
        'dead_letter_resolved',
      ]);
    });

    it('lets a letter that fails again wait again, and be replayed again', async () => {
      const { id, line } = await parkedLetter(scene);
      for (const attempts of [6, 7]) {
        assert.equal((await operator.post(`/dead-letters/${id}/replay`)).status, 200);
        assert.equal(await tryHead(scene, line, 'failed'), 'failed');
        await settle(scene);
        const letter = await scene.letter(id);
        assert.deepEqual([letter.state, letter.attempts], ['waiting', attempts]);
      }
    });

    it('sends a letter of a group without order to its replay topic alone, as it was', async () => {
      const { id, group, event } = await unorderedLetter(scene);
      const { value, key } = await scene.letter(id);
      assert.equal((await operator.post(`/dead-letters/${id}/replay`)).status, 200);
      const { topic, record } = await eventually(() => {
        const found = scene.sent.find((it) => it.topic === `${group}.replay`);
        assert.ok(found);
        return found;
      });
      assert.equal(topic, `${group}.replay`);
      assert.deepEqual([record.value, record.key, record.partition], [value, key, 2]);
      const { headers = {} } = record;
      for (const [name, text] of Object.entries({
        id: event.event_id,
        'inbox-id': event.event_id,
        attempt: '5',
        'original-group': group,
      }))
        assert.equal(String(headers[name]), text, name);
      await handleElsewhere(scene, group, event.event_id);
      await settle(scene);
      assert.equal((await scene.letter(id)).state, 'resolved');
    });

    it('is sent after all when Kafka was away, or its sender died, between the claim and the sending', async () => {
      const { id, group } = await unorderedLetter(scene);
      scene.kafka.isAway = true;
      try {
        assert.equal((await operator.post(`/dead-letters/${id}/replay`)).body.state, 'replaying');
      } finally {
        scene.kafka.isAway = false;
      }
      const count = () => scene.sent.filter(({ topic }) => topic === `${group}.replay`).length;
      assert.equal(count(), 0);
      await scene.owner.query("UPDATE dead_letters.sending SET until = now() - interval '1 second'");
      await eventually(() => assert.equal(count(), 1));
      await eventually(async () => {
        const left = await scene.owner.query('SELECT FROM dead_letters.sending WHERE letter_id = $1', [id]);
        assert.equal(left.rowCount, 0);
      });
      assert.equal(count(), 1);
    });

    it('refuses a letter whose replay topic does not exist, and says how to make it', async () => {
      const { id, group } = await unorderedLetter(scene);
      scene.kafka.missing.add(`${group}.replay`);
      const refused = await operator.post(`/dead-letters/${id}/replay`);
      assert.deepEqual([refused.status, refused.body.code], [409, 'conflict']);
      assert.match(refused.body.detail, new RegExp(`npx ragline topics group ${group} `));
      assert.equal((await scene.letter(id)).state, 'waiting');
    });

    it('lets letters wait again whose replay topic goes away after the claim, and sends those of other groups', async () => {
      const gone = await unorderedLetter(scene);
      const other = await unorderedLetter(scene);
      scene.kafka.isAway = true;
      for (const { id } of [gone, other]) await operator.post(`/dead-letters/${id}/replay`);
      scene.kafka.missing.add(`${gone.group}.replay`);
      scene.kafka.isAway = false;
      await scene.owner.query("UPDATE dead_letters.sending SET until = now() - interval '1 second'");
      await eventually(async () => assert.equal((await scene.letter(gone.id)).state, 'waiting'));
      const { body } = await operator.get(`/dead-letters/${gone.id}`);
      assert.equal(body.attempts.at(-1).error_code, 'replay_topic_missing');
      assert.equal(body.error_code, 'handler_failed');
      await eventually(() => assert.ok(scene.sent.some(({ topic }) => topic === `${other.group}.replay`)));
    });

    it('ends when the group has not answered for ten minutes, and is resolved when it does so late', async () => {
      for (const kind of ['unordered', 'parked'] as const) {
        const letter = { line: 0, ...(await (kind === 'parked' ? parkedLetter : unorderedLetter)(scene)) };
        const { id, group, event, line } = letter;
        await operator.post(`/dead-letters/${id}/replay`);
        assert.equal((await operator.post(`/dead-letters/${id}/discard`, { reason: 'x' })).status, 409);
        await longAgo(id, '11 min');
        await eventually(async () => assert.equal((await scene.letter(id)).state, 'waiting'));
        const { body } = await operator.get(`/dead-letters/${id}`);
        assert.equal(body.attempts.at(-1).error_code, 'replay_not_answered');
        if (kind === 'parked') assert.equal(await tryHead(scene, line, 'handled'), 'handled');
        else await handleElsewhere(scene, group, event.event_id);
        await scene.owner.query('UPDATE dead_letters.unanswered SET look_at = now()');
        await eventually(async () => assert.equal((await scene.letter(id)).state, 'resolved'));
        assert.equal((await scene.events(id)).at(-1), 'dead_letter_resolved');
      }
    });

    it('ends sooner when Kafka never took it', async () => {
      const { id, group } = await unorderedLetter(scene);
      scene.kafka.isAway = true;
      try {
        await operator.post(`/dead-letters/${id}/replay`);
        await longAgo(id, '6 min');
        await eventually(async () => assert.equal((await scene.letter(id)).state, 'waiting'));
      } finally {
        scene.kafka.isAway = false;
      }
      const { body } = await operator.get(`/dead-letters/${id}`);
      assert.equal(body.attempts.at(-1).error_code, 'replay_not_sent');
      assert.equal((await operator.post(`/dead-letters/${id}/replay`)).body.state, 'replaying');
      await eventually(() => assert.ok(scene.sent.some(({ topic }) => topic === `${group}.replay`)));
    });

    it('refuses a body with fields, which would do nothing', async () => {
      const { id } = await unorderedLetter(scene);
      for (const path of [`/dead-letters/${id}/replay`, `/dead-letters/${id}/restore`]) {
        const { status, body } = await operator.post(path, { dry_run: true });
        assert.deepEqual([status, body.code], [422, 'invalid'], path);
      }
      assert.equal((await scene.letter(id)).state, 'waiting');
    });

    it('resolves a letter whose record was handled meanwhile, and sends nothing', async () => {
      const { id, group, event } = await unorderedLetter(scene);
      await handleElsewhere(scene, group, event.event_id);
      assert.equal((await operator.post(`/dead-letters/${id}/replay`)).body.state, 'resolved');
      assert.ok(!scene.sent.some(({ topic }) => topic === `${group}.replay`));
      const again = await operator.post(`/dead-letters/${id}/replay`);
      assert.deepEqual([again.status, again.body.code], [409, 'already_handled']);
    });

    it('says which letter comes first when this one is not the head of its line', async () => {
      const { id, group, line, event } = await parkedLetter(scene, { followers: 1 });
      const { rows } = await scene.owner.query(
        'SELECT id, inbox_id FROM streams.parked_record WHERE parked_id = $1 ORDER BY "offset" DESC LIMIT 1',
        [line],
      );
      const follower = anEvent(event.tenant_id);
      await scene.keep([
        aLetter(
          {
            'original-group': group,
            'original-partition': '0',
            'original-offset': '11',
            'parked-record': String(rows[0].id),
            'inbox-id': rows[0].inbox_id,
            deaths: '1',
            id: follower.event_id,
          },
          { key: Buffer.from(event.order.id) },
        ),
      ]);
      const page = await scene.store.list(system, filterFrom({ group }), { before: undefined, limit: 9 });
      const behind = page.rows.find((it) => it.id !== id)?.id;
      const refused = await operator.post(`/dead-letters/${behind}/replay`);
      assert.deepEqual([refused.status, refused.body.code, refused.body.head], [409, 'conflict', id]);
      assert.match(refused.body.detail, new RegExp(id));
    });

    it('of two people lets one do it, and tells the other', async () => {
      const { id, line } = await parkedLetter(scene);
      const other = await scene.caller();
      const answers = await Promise.all([operator, other].map((it) => it.post(`/dead-letters/${id}/replay`)));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
      assert.equal(await tryHead(scene, line, 'handled'), 'handled');
      const { rows } = await scene.owner.query(
        "SELECT count(*)::int AS n FROM dead_letters.action WHERE letter_id = $1 AND verb = 'replay'",
        [id],
      );
      assert.equal(rows[0].n, 1);
    });

    it('sends letters of a foreign group where the setting says, and refuses those of others by its name', async () => {
      const foreign = { 'kafka_dlt-original-topic': 'billing.in', 'kafka_dlt-exception-message': 'no' };
      for (const group of [foreignGroup, aGroup()]) {
        const { headers, ...record } = aLetter({ 'original-group': group });
        await scene.keep([
          { ...record, headers: { ...headers, ...stored(foreign) }, source: 'spring', inbox_id: null },
        ]);
        const page = await scene.store.list(system, filterFrom({ group }), { before: undefined, limit: 1 });
        const id = page.rows[0]?.id ?? '';
        const answer = await operator.post(`/dead-letters/${id}/replay`);
        if (group === foreignGroup) {
          assert.equal(answer.status, 200, answer.text);
          await eventually(async () => assert.equal((await scene.letter(id)).state, 'resolved'));
          const sent = scene.sent.find(({ topic }) => topic === 'billing.in');
          assert.ok(
            sent && !Object.keys(sent.record.headers ?? {}).some((name) => name.startsWith('kafka_dlt-')),
          );
        } else {
          assert.deepEqual([answer.status, answer.body.code], [409, 'conflict']);
          assert.match(answer.body.detail, /FOREIGN_REPLAY_TOPICS/);
        }
      }
    });
  });

  describe('discarding', () => {
    it('takes the record out of its line with a reason, and lets the followers go on', async () => {
      const { id, line, group, event } = await parkedLetter(scene, { followers: 1 });
      assert.equal((await operator.post(`/dead-letters/${id}/discard`, {})).status, 422);
      const answer = await operator.post(`/dead-letters/${id}/discard`, { reason: 'a test order' });
      assert.deepEqual(
        [answer.body.state, answer.body.discard_reason],
        ['discarded', 'a test order'],
        answer.text,
      );
      assert.deepEqual(await inboxOf(scene, group), { [event.event_id]: 'discarded' });
      assert.notEqual((await dueHead(scene, line)).event_id, event.event_id);
      assert.equal((await operator.post(`/dead-letters/${id}/replay`)).body.code, 'conflict');
    });

    it('loses to an attempt that is running: one of the two happens, never both', async () => {
      for (const outcome of ['handled', 'failed'] as const) {
        const { id, line, group, event, record } = await parkedLetter(scene);
        await scene.owner.query('UPDATE streams.parked_key SET not_before = now() WHERE id = $1', [line]);
        let discarding: ReturnType<Caller['post']> | undefined;
        const tried = await tryHead(scene, line, outcome, async () => {
          discarding = operator.post(`/dead-letters/${id}/discard`, { reason: 'now' });
          // It waits for the attempt's lock.
          await eventually(async () => {
            const { rows } = await scene.owner.query(
              "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            );
            assert.ok(rows[0].n > 0);
          });
        });
        const answer = await discarding;
        const inbox = await inboxOf(scene, group);
        if (tried === 'handled') {
          assert.deepEqual([answer?.status, answer?.body.code], [409, 'already_handled']);
          assert.deepEqual(inbox, { [event.event_id]: 'handled' });
          assert.equal((await scene.letter(id)).state, 'resolved');
        } else {
          assert.equal(answer?.status, 200, answer?.text);
          assert.deepEqual(inbox, { [event.event_id]: 'discarded' });
          const left = await scene.owner.query('SELECT FROM streams.parked_record WHERE id = $1', [record]);
          assert.equal(left.rowCount, 0);
        }
      }
    });

    it('answers busy when an attempt holds the record too long', async () => {
      const { id, line } = await parkedLetter(scene);
      await scene.owner.query('UPDATE streams.parked_key SET not_before = now() WHERE id = $1', [line]);
      await tryHead(scene, line, 'failed', async () => {
        const answer = await operator.post(`/dead-letters/${id}/discard`, { reason: 'now' });
        assert.deepEqual([answer.status, answer.body.code], [409, 'busy']);
        assert.ok(answer.headers.get('retry-after'));
      });
      assert.equal((await scene.letter(id)).state, 'waiting');
    });

    it('closes the id of a group without order, and a restored letter goes on under another', async () => {
      const { id, group, event } = await unorderedLetter(scene);
      await operator.post(`/dead-letters/${id}/discard`, { reason: 'no' });
      assert.deepEqual(await inboxOf(scene, group), { [event.event_id]: 'discarded' });
      assert.equal((await operator.post(`/dead-letters/${id}/restore`)).body.state, 'waiting');
      await operator.post(`/dead-letters/${id}/replay`);
      const sent = await eventually(() => {
        const found = scene.sent.find(({ topic }) => topic === `${group}.replay`);
        assert.ok(found);
        return found;
      });
      assert.match(String(sent.record.headers?.['inbox-id']), /^restored:/);
      assert.equal(String(sent.record.headers?.id), event.event_id);
    });

    it('can be undone: the record comes back beside its line, dead, and is replayed there', async () => {
      const { id, group, event, record } = await parkedLetter(scene, { followers: 1 });
      await operator.post(`/dead-letters/${id}/discard`, { reason: 'no' });
      const restored = await operator.post(`/dead-letters/${id}/restore`);
      assert.equal(restored.body.state, 'waiting', restored.text);
      assert.notEqual(Number(restored.body.parked_record), record);
      assert.equal((await operator.post(`/dead-letters/${id}/restore`)).status, 409);
      await operator.post(`/dead-letters/${id}/replay`);
      const { rows } = await scene.owner.query('SELECT parked_id FROM streams.parked_record WHERE id = $1', [
        restored.body.parked_record,
      ]);
      assert.equal((await dueHead(scene, rows[0].parked_id)).event_id, event.event_id);
      assert.equal(await tryHead(scene, rows[0].parked_id, 'handled'), 'handled');
      await settle(scene);
      assert.equal((await scene.letter(id)).state, 'resolved');
      assert.equal((await inboxOf(scene, group))[event.event_id], 'discarded');
    });
  });

  it("are all refused for another tenant's letter, as if it were not there", async () => {
    const { id, event, line } = await parkedLetter(scene);
    const stranger = await scene.caller(randomUUIDv7());
    const { version } = await scene.letter(id);
    for (const answer of [
      await stranger.patch(id, { note: 'x' }, version),
      await stranger.post(`/dead-letters/${id}/replay`),
      await stranger.post(`/dead-letters/${id}/discard`, { reason: 'x' }),
      await stranger.post(`/dead-letters/${id}/restore`),
      await stranger.post(`/parked-keys/${line}/release`),
    ])
      assert.deepEqual([answer.status, answer.body.code], [404, 'not_found']);
    assert.deepEqual((await stranger.get('/parked-keys')).body.data, []);
    const own = await scene.caller(event.tenant_id);
    assert.equal((await own.post(`/dead-letters/${id}/replay`)).status, 200);
    assert.equal((await operator.post(`/dead-letters/${randomUUIDv7()}/replay`)).status, 404);
  });

  it('are in an audit that nobody changes', async () => {
    const { id, event } = await parkedLetter(scene);
    const own = await scene.caller(event.tenant_id);
    await own.post(`/dead-letters/${id}/discard`, { reason: 'why' });
    const { rows } = await scene.owner.query(
      'SELECT verb, actor_user_id, actor_tenant_id, tenant_id, detail FROM dead_letters.action WHERE letter_id = $1',
      [id],
    );
    const tenants = { actor_tenant_id: event.tenant_id, tenant_id: event.tenant_id };
    assert.deepEqual(rows, [
      { verb: 'discard', actor_user_id: own.user_id, ...tenants, detail: { reason: 'why' } },
    ]);
    for (const statement of ['UPDATE dead_letters.action SET verb = verb', 'DELETE FROM dead_letters.action'])
      await assert.rejects(scene.pool.query(statement), /permission denied/);
  });

  async function longAgo(id: string, by: string): Promise<void> {
    await scene.owner.query(
      'UPDATE dead_letters.letter SET replaying_since = replaying_since - $2::interval WHERE id = $1',
      [id, by],
    );
  }

  describe('parked keys', () => {
    it('are listed with their heads, page by page, for the own tenant alone', async () => {
      const tenant = randomUUIDv7();
      const lines = [];
      for (const followers of [0, 1, 2])
        lines.push(await parkedLetter(scene, { event: anEvent(tenant), followers }));
      const admin = await scene.caller(tenant);
      const first = await admin.get('/parked-keys?limit=2');
      const rest = await admin.get(`/parked-keys?limit=2&cursor=${first.body.next_cursor}`);
      assert.equal(rest.body.next_cursor, null);
      const shown = [...first.body.data, ...rest.body.data];
      assert.deepEqual(
        shown.map(({ id, followers, key, head }) => [id, followers, key, head.dead_letter_id, head.is_dead]),
        lines.map(({ line, event, id }, n) => [String(line), n, event.order.id, id, true]),
      );
      assert.equal((await admin.get('/parked-keys?cursor=nonsense')).status, 400);
    });

    it('are released: the head waits on beside them, and those behind it go on', async () => {
      const { id, line, record, event } = await parkedLetter(scene, { followers: 1 });
      const answer = await operator.post(`/parked-keys/${line}/release`);
      assert.deepEqual([answer.status, answer.body.dead_letter_id], [200, id], answer.text);
      assert.equal(await tryHead(scene, line, 'handled'), 'handled');
      await operator.post(`/dead-letters/${id}/replay`);
      const { rows } = await scene.owner.query('SELECT parked_id FROM streams.parked_record WHERE id = $1', [
        record,
      ]);
      assert.equal((await dueHead(scene, rows[0].parked_id)).event_id, event.event_id);
      assert.equal(await tryHead(scene, rows[0].parked_id, 'handled'), 'handled');
      await settle(scene);
      assert.equal((await scene.letter(id)).state, 'resolved');
      assert.equal((await operator.post(`/parked-keys/${line}/release`)).status, 404);
      assert.equal((await operator.post('/parked-keys/x/release')).status, 404);
    });
  });
});

const stored = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, t]) => [name, { t }]));
