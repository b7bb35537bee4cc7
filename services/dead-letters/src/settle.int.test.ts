import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { filterFrom } from './letter-filter.ts';
import { aGroup, aLetter, type LetterScene, openLetters } from './letters.support.ts';
import { inScope, system } from './scope.ts';
import { settle, start, startSettler } from './settle.ts';
import { setState, take } from './store.ts';

const nobody = { tenant_id: null, user_id: null };

/** Where `park` puts a record. */
const placeOfParked = { 'original-partition': '0', 'original-offset': '7' };

describe('what became of replays', function () {
  this.timeout(60_000);
  let scene: LetterScene;

  before(async () => {
    scene = await openLetters();
  });
  after(() => scene?.close());

  it('is resolved when the group’s inbox has the id, and not before', async () => {
    const group = aGroup();
    const id = await replaying(group, { 'inbox-id': 'one' });
    await settleAll();
    assert.equal((await letter(id)).state, 'replaying');
    await close(group, 'one', 'handled');
    await settleAll();
    const { state, resolved_at, replaying_since } = await letter(id);
    assert.deepEqual([state, resolved_at instanceof Date, replaying_since], ['resolved', true, null]);
    assert.deepEqual(await scene.events(id), ['dead_letter_kept', 'dead_letter_resolved']);
  });

  it('is discarded when somebody discarded it in its line', async () => {
    const group = aGroup();
    const record = await park(group, 'two');
    const id = await replaying(group, { 'inbox-id': 'two', 'parked-record': String(record), deaths: '1' });
    await scene.pool.query('SELECT status FROM streams.discard_parked(NULL, $1)', [[record]]);
    await settleAll();
    assert.equal((await letter(id)).state, 'discarded');
  });

  describe('in a line', () => {
    it('is waiting again, with the attempt, when the record has died once more', async () => {
      const group = aGroup();
      const record = await park(group, 'three');
      const id = await replaying(group, {
        'inbox-id': 'three',
        'parked-record': String(record),
        deaths: '1',
      });
      // Dead as before: the line has not been told yet.
      await settleAll();
      assert.equal((await letter(id)).state, 'replaying');
      const error = {
        code: 'handler_failed',
        class: 'RangeError',
        message: 'again',
        stack: '',
        attempt: 6,
        not_before: '',
        failed_at: '2026-11-22T12:00:00.000Z',
      };
      await scene.owner.query('UPDATE streams.parked_record SET deaths = 2, error = $2 WHERE id = $1', [
        record,
        error,
      ]);
      await settleAll();
      const { state, deaths, attempts, error_class, fingerprint_parts } = await letter(id);
      assert.deepEqual([state, deaths, attempts, error_class], ['waiting', 2, 6, 'RangeError']);
      assert.equal(fingerprint_parts.message, 'again');
      assert.deepEqual(await scene.events(id), ['dead_letter_kept', 'dead_letter_failed_again']);
      // What the group then announces is the same death.
      const announced = aLetter({
        'original-group': group,
        ...placeOfParked,
        'inbox-id': 'three',
        'parked-record': String(record),
        deaths: '2',
        attempt: '6',
      });
      assert.deepEqual(await scene.keep([announced]), ['copy']);
    });

    it('follows the record to the id that releasing it gave it', async () => {
      const group = aGroup();
      const record = await park(group, 'old');
      const id = await replaying(group, { 'inbox-id': 'old', 'parked-record': String(record), deaths: '1' });
      await scene.owner.query("UPDATE streams.parked_record SET inbox_id = 'new' WHERE id = $1", [record]);
      await settleAll();
      assert.equal((await letter(id)).inbox_id, 'new');
    });
  });

  it('is found behind any number of letters whose groups are away', async () => {
    const away = aGroup();
    const offsets = Array.from({ length: 1_200 }, (_, n) => `away-${n}`);
    await scene.keep(offsets.map((inbox) => aLetter({ 'original-group': away, 'inbox-id': inbox })));
    await scene.owner.query(
      "UPDATE dead_letters.letter SET state = 'replaying', replaying_since = now() WHERE group_id = $1",
      [away],
    );
    const group = aGroup();
    const id = await replaying(group, { 'inbox-id': 'behind' });
    await close(group, 'behind', 'handled');
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const settler = startSettler({ ...scene, log });
    try {
      await eventually(async () => assert.equal((await letter(id)).state, 'resolved'));
    } finally {
      await settler.stop();
    }
  });

  it('tells of a failure that cannot be stored without its error, and holds up no other', async () => {
    const group = aGroup();
    const record = await park(group, 'odd');
    const odd = await replaying(group, { 'inbox-id': 'odd', 'parked-record': String(record), deaths: '1' });
    const other = await replaying(group, { 'inbox-id': 'beside' });
    await close(group, 'beside', 'handled');
    await scene.owner.query(
      `UPDATE streams.parked_record SET deaths = 2, error = jsonb_build_object('code', 'x', 'attempt', 3000000000) WHERE id = $1`,
      [record],
    );
    await settleAll();
    const states = [(await letter(odd)).state, (await letter(other)).state];
    assert.deepEqual(states, ['waiting', 'resolved']);
  });

  async function settleAll(): Promise<void> {
    let place = start;
    do place = (await settle(scene, place)).next;
    while (place !== start);
  }

  async function replaying(group: string, headers: Record<string, string>): Promise<string> {
    const place = 'parked-record' in headers ? placeOfParked : {};
    await scene.keep([aLetter({ 'original-group': group, ...place, ...headers })]);
    const { rows } = await scene.store.list(nobody, filterFrom({ group }), { before: undefined, limit: 1 });
    const id = rows[0]?.id ?? '';
    await inScope(scene.pool, system, async (client) =>
      setState(client, await take(client, [id], ['waiting']), 'replaying'),
    );
    return id;
  }

  async function letter(id: string) {
    const whole = await scene.store.get(nobody, id);
    assert.ok(whole);
    return whole.letter;
  }

  async function close(group: string, inboxId: string, outcome: string): Promise<void> {
    await scene.owner.query('INSERT INTO streams.inbox (group_id, inbox_id, outcome) VALUES ($1, $2, $3)', [
      group,
      inboxId,
      outcome,
    ]);
  }

  /** A dead record in a line of its own, as restoring one leaves it. */
  async function park(group: string, inboxId: string): Promise<number> {
    return inScope(scene.pool, system, async (client) => {
      const { rows } = await client.query<{ id: number }>(
        `SELECT streams.restore_parked(NULL, $1, 'orders.v1', 0, 7, 'key', NULL, $2, 'value', '{}', '{}', $3) AS id`,
        [group, randomUUIDv7(), inboxId],
      );
      return rows[0]?.id ?? 0;
    });
  }
});
