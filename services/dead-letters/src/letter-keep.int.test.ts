import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { keepDeadLetter, together } from './consumer.ts';
import type { NewLetter } from './domain.ts';
import { filterFrom } from './letter-filter.ts';
import { aGroup, aLetter, aLetterOf, aRecord, type LetterScene, openLetters } from './letters.support.ts';
import { inScope, system } from './scope.ts';
import { setState, take } from './store.ts';

const nobody = { tenant_id: null, user_id: null };

describe('keeping letters', function () {
  this.timeout(60_000);
  let scene: LetterScene;

  before(async () => {
    scene = await openLetters();
  });
  after(() => scene?.close());

  it('keeps a letter that comes twice only once, also within one batch', async () => {
    const letter = aLetter({ 'original-group': aGroup() });
    assert.deepEqual(await scene.keep([letter, letter]), ['kept', 'copy']);
    assert.deepEqual(await scene.keep([letter]), ['copy']);
    const kept = await only(letter.group_id);
    assert.equal(kept.history.length, 1);
    assert.deepEqual(await scene.events(kept.letter.id), ['dead_letter_kept']);
  });

  it('keeps apart the letters of two groups that failed on the same record', async () => {
    const groups = [aGroup(), aGroup()];
    const offset = '41';
    const letters = groups.map((group) => aLetter({ 'original-group': group, 'original-offset': offset }));
    assert.deepEqual(await scene.keep(letters), ['kept', 'kept']);
  });

  it('shows what came: bytes, headers, error, attempt', async () => {
    const group = aGroup();
    const value = Buffer.from([0, 1, 255, 0]);
    const letter = aLetter(
      { 'original-group': group, 'x-binary': Buffer.from([0, 159, 146]), tenant_id: randomUUIDv7() },
      { value, key: Buffer.from('k') },
    );
    await scene.keep([letter]);
    const { letter: row, history } = await only(group);
    assert.deepEqual(row.value, value);
    assert.deepEqual(
      [row.key?.toString(), row.state, row.tenant_id, row.attempts],
      ['k', 'waiting', null, 5],
    );
    assert.deepEqual(row.headers['x-binary'], { b: Buffer.from([0, 159, 146]).toString('base64') });
    assert.deepEqual([row.topic, row.partition, row.offset], [letter.topic, 2, letter.offset]);
    assert.deepEqual(
      history.map(({ attempt, error_code, by }) => [attempt, error_code, by]),
      [[5, 'handler_failed', 'tiers']],
    );
  });

  describe('of a group without order', () => {
    it('takes a failed replay back to waiting, with its attempt', async () => {
      const group = aGroup();
      const offset = { 'original-group': group, 'original-offset': '7' };
      await scene.keep([aLetter(offset)]);
      await replay(group);
      const again = aLetter({
        ...offset,
        attempt: '6',
        'failed-at': new Date().toISOString(),
        'error-code': 'other',
      });
      assert.deepEqual(await scene.keep([again]), ['attempt']);
      const { letter, history } = await only(group);
      assert.deepEqual([letter.state, letter.attempts, letter.error_code], ['waiting', 6, 'other']);
      assert.deepEqual(
        history.map(({ attempt, by }) => [attempt, by]),
        [
          [5, 'tiers'],
          [6, 'replay'],
        ],
      );
      assert.deepEqual(await scene.events(letter.id), ['dead_letter_kept', 'dead_letter_failed_again']);
    });

    it('takes a second letter of the first death for no answer to the replay', async () => {
      const group = aGroup();
      const offset = { 'original-group': group, 'original-offset': '7' };
      await scene.keep([aLetter(offset)]);
      await replay(group);
      await scene.keep([aLetter({ ...offset, 'failed-at': '2026-11-22T11:30:05.000Z' })]);
      assert.equal((await only(group)).letter.state, 'replaying');
    });
  });

  describe('of a group that keeps order', () => {
    it('knows the parked record by its id: more deaths are another attempt, as many are a copy', async () => {
      const group = aGroup();
      const record = await aParked(group, 'x', 2);
      await scene.keep([aLetter({ ...record, deaths: '1' })]);
      assert.deepEqual(
        await scene.keep([aLetter({ ...record, deaths: '1', 'failed-at': '2026-11-22T12:00:00Z' })]),
        ['copy'],
      );
      await replay(group);
      assert.deepEqual(await scene.keep([aLetter({ ...record, deaths: '2', attempt: '6' })]), ['attempt']);
      const { letter, history } = await only(group);
      assert.deepEqual([letter.state, letter.deaths, history.length], ['waiting', 2, 2]);
    });

    it('does not wait for anybody when the record was handled before its letter came', async () => {
      const group = aGroup();
      const record = await aParked(group, 'gone', 1);
      await scene.pool.query('SELECT status FROM streams.discard_parked(NULL, $1)', [
        [record['parked-record']],
      ]);
      await scene.keep([aLetter(record)]);
      const { letter } = await only(group);
      assert.deepEqual([letter.state, letter.parked_record], ['discarded', Number(record['parked-record'])]);
    });

    it('binds no letter to a record that the group does not have, and keeps it by its address', async () => {
      const [group, other] = [aGroup(), aGroup()];
      const strangers = await aParked(other, 'theirs', 1);
      const own = await aParked(group, 'own', 1);
      const future = String(Number(own['parked-record']) + 1_000);
      await scene.owner.query(
        "INSERT INTO streams.inbox (group_id, inbox_id, outcome) VALUES ($1, 'handled', 'handled')",
        [group],
      );
      const forged = [
        { ...strangers, 'original-group': group },
        { ...own, 'original-offset': '8' },
        { ...own, 'inbox-id': 'another', 'original-offset': '9' },
        { ...own, 'parked-record': future, 'inbox-id': 'handled', 'original-offset': '10' },
        { ...own, 'parked-record': future, 'inbox-id': 'unheard', 'original-offset': '11' },
      ];
      assert.deepEqual(
        await scene.keep(forged.map((headers) => aLetter(headers))),
        forged.map(() => 'kept'),
      );
      const { rows } = await scene.store.list(nobody, filterFrom({ group }), { before: undefined, limit: 9 });
      assert.deepEqual(
        rows.map(({ parked_record }) => parked_record),
        forged.map(() => null),
      );
    });

    it('believes no more deaths than the record has, so that the next one is no copy', async () => {
      const group = aGroup();
      const record = await aParked(group, 'x', 1);
      assert.deepEqual(await scene.keep([aLetter({ ...record, deaths: '99' })]), ['kept']);
      await scene.owner.query('UPDATE streams.parked_record SET deaths = 2 WHERE id = $1', [
        record['parked-record'],
      ]);
      assert.deepEqual(await scene.keep([aLetter({ ...record, deaths: '2', attempt: '6' })]), ['attempt']);
    });
  });

  it('keeps what was discarded discarded when a late attempt comes', async () => {
    const group = aGroup();
    const offset = { 'original-group': group, 'original-offset': '7' };
    await scene.keep([aLetter(offset)]);
    await inScope(scene.pool, system, async (client) =>
      setState(client, await take(client, [(await only(group)).letter.id], ['waiting']), 'discarded', {
        discard_reason: 'no',
      }),
    );
    await scene.keep([aLetter({ ...offset, attempt: '9', 'failed-at': new Date().toISOString() })]);
    const { letter, history } = await only(group);
    assert.deepEqual([letter.state, letter.discard_reason, history.length], ['discarded', 'no', 2]);
  });

  it('believes a tenant only where header and value agree', async () => {
    const group = aGroup();
    const tenant = randomUUIDv7();
    await scene.keep([
      aLetterOf(tenant, { 'original-group': group }),
      { ...aLetterOf(tenant, { 'original-group': group, tenant_id: randomUUIDv7() }) },
    ]);
    const all = await scene.store.list(nobody, filterFrom({ group }), { before: undefined, limit: 10 });
    assert.deepEqual(all.rows.map(({ tenant_id }) => tenant_id).sort(), [tenant, null].sort());
    const own = await scene.store.list({ tenant_id: tenant, user_id: null }, filterFrom({ group }), {
      before: undefined,
      limit: 10,
    });
    assert.equal(own.rows.length, 1);
  });

  const long = 'ä'.repeat(20_000);
  const hostile: [string, Parameters<typeof aLetter>[0], Partial<Parameters<typeof aLetter>[1]>?][] = [
    [
      'NUL and half characters in every header',
      { 'error-message': 'a\0b', 'error-code': '\0', 'error-class': Buffer.from([0xff, 0xfe, 0]), id: '\0' },
    ],
    [
      'endless headers',
      {
        'error-message': long,
        'error-code': long,
        'error-class': long,
        'error-stack': long,
        id: long,
        event_type: long,
        'inbox-id': long,
      },
    ],
    ['a group of any length', { 'original-group': `test-${long}` }],
    ['a negative offset', { 'original-offset': '-1' }],
    ['an offset beyond 64 bits', { 'original-offset': '9223372036854775808' }],
    ['the last offset', { 'original-offset': '9223372036854775807' }],
    ['a partition beyond 32 bits', { 'original-partition': '4294967296' }],
    [
      'times that are none',
      {
        'failed-at': '+275760-09-13T00:00:00.001Z',
        'first-failed-at': '0000-00-00T00:00:00Z',
        'original-timestamp': 'soon',
      },
    ],
    ['numbers that are none', { attempt: '1e400', deaths: '-5', 'parked-record': '99999999999999999999' }],
    ['more deaths than a number holds', { 'parked-record': '900100', deaths: '99999999999' }],
    ['a stamp of no time', {}, { timestamp: Number.NaN }],
    ['neither key nor value', {}, { key: null, value: null }],
    [
      'a thousand headers',
      Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`header-${n}\0`, `${n}`])),
    ],
    ['names that every object has', { constructor: 'x', toString: 'y', hasOwnProperty: 'z' }],
    [
      'a value of NUL and half characters',
      {},
      { reading: { decoded: { note: 'a\0b\ud800', tenant_id: 5 }, decode_error: null } },
    ],
    ['a value as deep as it is long', {}, { reading: { decoded: nested(10_000), decode_error: null } }],
    ['a key too long for an index', {}, { key: Buffer.alloc(100_000, 7) }],
  ];
  for (const [what, headers, changes] of hostile) {
    it(`keeps ${what}`, async () => {
      const group = aGroup();
      const letter = aLetter({ 'original-group': group, ...headers }, changes);
      const other = aLetter({ 'original-group': group });
      assert.deepEqual(await scene.keep([letter, other]), ['kept', 'kept']);
      const { rows } = await scene.store.list(nobody, filterFrom({ group: letter.group_id }), {
        before: undefined,
        limit: 10,
      });
      const found = rows.find(({ offset, topic }) => offset === letter.offset && topic === letter.topic);
      assert.ok(found);
      assert.notEqual(found.error_code, 'letter_not_storable');
      assert.ok(await scene.store.get(nobody, found.id));
    });
  }

  it('keeps the bytes of a letter that Postgres refuses, and says so, without holding up the others', async () => {
    const group = aGroup();
    const impossible: NewLetter = { ...aLetter({ 'original-group': group }), error_message: 'a\0b' };
    assert.deepEqual(await scene.keep([aLetter({ 'original-group': group }), impossible]), ['kept', 'kept']);
    const { rows } = await scene.store.list(
      nobody,
      filterFrom({ group, error_code: 'letter_not_storable' }),
      { before: undefined, limit: 10 },
    );
    assert.equal(rows.length, 1);
  });

  it('shares transactions among letters that come at the same time', async () => {
    const group = aGroup();
    let calls = 0;
    const keep = together((letters) => {
      calls += 1;
      return scene.keep(letters);
    });
    const handle = keepDeadLetter(scene.codec, keep);
    const records = Array.from({ length: 300 }, () => aRecord({ 'original-group': group }));
    const kept = await Promise.all(records.map(handle));
    assert.deepEqual(new Set(kept), new Set(['kept']));
    assert.ok(calls <= 3, `${calls} transactions`);
    const stats = await scene.store.stats(nobody);
    assert.equal(stats.groups.find((it) => it.group === group)?.states.waiting, 300);
  });

  it('lets two instances keep the same letters at the same time', async () => {
    const group = aGroup();
    const letters = Array.from({ length: 100 }, () => aLetter({ 'original-group': group }));
    const both = await Promise.all([scene.keep(letters), scene.keep(letters.toReversed())]);
    assert.equal(both.flat().filter((it) => it === 'kept').length, 100);
  });

  async function only(group: string) {
    const { rows } = await scene.store.list(nobody, filterFrom({ group }), { before: undefined, limit: 2 });
    assert.equal(rows.length, 1);
    const whole = await scene.store.get(nobody, rows[0]?.id ?? '');
    assert.ok(whole);
    return whole;
  }

  /** What the letter of a dead record says of it; the record is in a line of its own. */
  async function aParked(group: string, inboxId: string, deaths: number) {
    const { rows } = await scene.pool.query<{ id: number }>(
      `SELECT streams.restore_parked(NULL, $1, 'orders.v1', 0, 7, 'key', NULL, '', 'value', '{}', '{}', $2) AS id`,
      [group, inboxId],
    );
    const id = rows[0]?.id;
    await scene.owner.query('UPDATE streams.parked_record SET deaths = $2 WHERE id = $1', [id, deaths]);
    const place = { 'original-group': group, 'original-partition': '0', 'original-offset': '7' };
    return { ...place, 'parked-record': String(id), 'inbox-id': inboxId, deaths: '1' };
  }

  async function replay(group: string): Promise<void> {
    const { letter } = await only(group);
    await inScope(scene.pool, system, async (client) =>
      setState(client, await take(client, [letter.id], ['waiting']), 'replaying'),
    );
  }
});

function nested(depth: number): unknown {
  let value: unknown = 'end';
  for (let i = 0; i < depth; i += 1) value = { value };
  return value;
}
