import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { filterFrom } from './letter-filter.ts';
import { aGroup, aLetter } from './letters.support.ts';
import {
  anEvent,
  type Caller,
  dueHead,
  inboxOf,
  type Mending,
  openMending,
  parkedLetter,
  tryHead,
  unorderedLetter,
} from './mending.support.ts';
import { system } from './scope.ts';

describe('editing a letter', function () {
  this.timeout(60_000);
  let scene: Mending;
  let operator: Caller;

  before(async () => {
    scene = await openMending();
    operator = await scene.caller();
  });
  after(() => scene?.close());

  it('changes the record in its place, under a new id, and closes the old one', async () => {
    const { id, line, group, event } = await parkedLetter(scene, { followers: 1 });
    const value = { ...event, order: { ...event.order, total: 4_242 } };
    const answer = await operator.patch(id, { value, headers: { extra: 'yes' } }, 1);
    assert.equal(answer.status, 200, answer.text);
    const { event_id, version, headers } = answer.body;
    assert.notEqual(event_id, event.event_id);
    assert.deepEqual([version, answer.headers.get('etag')], [2, '"2"']);
    assert.deepEqual(answer.body.value, { ...value, event_id });
    assert.deepEqual(
      [headers.id, headers['edited-from'], headers.extra, headers.tenant_id],
      [event_id, event.event_id, 'yes', event.tenant_id],
    );
    assert.deepEqual(await inboxOf(scene, group), { [event.event_id]: 'edited' });

    await operator.post(`/dead-letters/${id}/replay`);
    const head = await dueHead(scene, line);
    assert.deepEqual([head.event_id, head.inbox_id], [event_id, event_id]);
    const decoded = await scene.codec.decode(head.value);
    assert.deepEqual(JSON.parse(JSON.stringify(decoded.value)), { ...value, event_id });
    assert.deepEqual(
      Object.keys(head.headers).filter((name) => /^(original-|error-|deaths|attempt)/.test(name)),
      [],
    );
    assert.equal(await tryHead(scene, line, 'handled'), 'handled');
    assert.equal((await inboxOf(scene, group))[event_id], 'handled');
    assert.deepEqual((await scene.events(id)).slice(0, 2), ['dead_letter_kept', 'dead_letter_edited']);
  });

  it('keeps before and after, who it was, and the first id through several edits', async () => {
    const { id, event } = await unorderedLetter(scene);
    const first = await operator.patch(id, { headers: { a: '1' } }, 1);
    const second = await operator.patch(id, { headers: { a: null } }, 2);
    assert.deepEqual([first.status, second.status], [200, 200], second.text);
    assert.equal(second.body.headers['edited-from'], event.event_id);
    assert.equal(second.body.value.event_id, second.body.event_id);
    assert.ok(!('a' in second.body.headers));
    const { rows } = await scene.owner.query(
      'SELECT user_id, event_id_before, event_id_after, headers_before, headers_after FROM dead_letters.edit WHERE letter_id = $1 ORDER BY id',
      [id],
    );
    assert.deepEqual(
      rows.map((row) => [row.user_id, row.event_id_before, row.event_id_after, row.headers_after.a]),
      [
        [operator.user_id, event.event_id, first.body.event_id, { t: '1' }],
        [operator.user_id, first.body.event_id, second.body.event_id, undefined],
      ],
    );
  });

  it('names each field that does not fit the schema, and changes nothing', async () => {
    const { id, group, event } = await unorderedLetter(scene);
    const value = { ...event, surprise: 1, order: { ...event.order, total: 'much' } };
    const answer = await operator.patch(id, { value }, 1);
    assert.deepEqual([answer.status, answer.body.code], [422, 'invalid']);
    assert.deepEqual(answer.body.errors.map(({ path }: { path: string }) => path).sort(), [
      'value.order.total',
      'value.surprise',
    ]);
    assert.equal((await scene.letter(id)).version, 1);
    assert.deepEqual(await inboxOf(scene, group), {});
  });

  it('refuses what is locked, whoever asks', async () => {
    const { id, event } = await unorderedLetter(scene);
    const other = randomUUIDv7();
    const attempts: [string, object][] = [
      ['headers.tenant_id', { headers: { tenant_id: other } }],
      ['headers.original-group', { headers: { 'original-group': 'other' } }],
      ['headers.inbox-id', { headers: { 'inbox-id': 'other' } }],
      ['value.tenant_id', { value: { ...event, tenant_id: other } }],
      ['value.order.tenant_id', { value: { ...event, order: { ...event.order, tenant_id: other } } }],
      ['value.order.id', { value: { ...event, order: { ...event.order, id: other } } }],
      ['value.event_type', { value: { ...event, event_type: 'order_cancelled' } }],
    ];
    for (const caller of [operator, await scene.caller(event.tenant_id)]) {
      for (const [path, edit] of attempts) {
        const answer = await caller.patch(id, edit, 1);
        assert.equal(answer.status, 422, `${path}: ${answer.text}`);
        assert.deepEqual(answer.body.errors[0], { path, message: 'is locked' });
      }
    }
  });

  it('asks for the version, and refuses one that has passed', async () => {
    const { id } = await unorderedLetter(scene);
    const missing = await operator.patch(id, { note: 'x' }, undefined);
    assert.deepEqual([missing.status, missing.body.code], [428, 'precondition_required']);
    const wrong = await operator.patch(id, { note: 'x' }, 7);
    assert.deepEqual([wrong.status, wrong.body.code], [412, 'version_mismatch']);
    assert.equal(wrong.headers.get('etag'), '"1"');
  });

  it('of two edits at once takes one', async () => {
    const { id } = await parkedLetter(scene);
    const answers = await Promise.all(['a', 'b'].map((text) => operator.patch(id, { headers: { text } }, 1)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412]);
  });

  it('against a replay: what is tried is either the old content or the new, never both', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, line, group, event } = await parkedLetter(scene);
      const [edited, replayed] = await Promise.all([
        operator.patch(id, { headers: { extra: 'yes' } }, 1),
        operator.post(`/dead-letters/${id}/replay`),
      ]);
      assert.equal(replayed.status, 200, replayed.text);
      assert.equal(await tryHead(scene, line, 'handled'), 'handled');
      const { [event.event_id]: old, ...rest } = await inboxOf(scene, group);
      if (edited.status === 200) assert.deepEqual([old, Object.values(rest)], ['edited', ['handled']]);
      else assert.deepEqual([edited.status < 500, old, rest], [true, 'handled', {}], edited.text);
    }
  });

  it('is for letters that wait; notes are for all', async () => {
    const { id } = await unorderedLetter(scene);
    await operator.post(`/dead-letters/${id}/discard`, { reason: 'x' });
    const edited = await operator.patch(id, { headers: { a: '1' } }, 2);
    assert.deepEqual([edited.status, edited.body.code], [409, 'conflict']);
    const noted = await operator.patch(id, { note: 'was a test' }, 2);
    assert.equal(noted.status, 200, noted.text);
    const again = await operator.patch(id, { note: 'really' }, 3);
    assert.deepEqual(
      again.body.notes.map(({ text, user_id }: { text: string; user_id: string }) => [text, user_id]),
      [
        ['was a test', operator.user_id],
        ['really', operator.user_id],
      ],
    );
  });

  it('leaves masked headers as they were when the mask comes back', async () => {
    const { id } = await unorderedLetter(scene, { headers: { authorization: 'Bearer secret' } });
    const shown = await operator.get(`/dead-letters/${id}`);
    assert.equal(shown.body.headers.authorization, '***');
    const answer = await operator.patch(id, { headers: { ...shown.body.headers, extra: 'x' } }, 1);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual((await scene.letter(id)).headers.authorization, { t: 'Bearer secret' });
  });

  it('gives garbage a value by the schema of its topic, and refuses where there is none', async () => {
    const event = anEvent();
    for (const [topic, status] of [
      ['orders.v1', 200],
      [`test-${randomUUIDv7()}`, 409],
    ] as const) {
      const group = aGroup();
      await scene.keep([aLetter({ 'original-group': group, 'original-topic': topic, 'inbox-id': 'at:x' })]);
      const page = await scene.store.list(system, filterFrom({ group }), { before: undefined, limit: 1 });
      const answer = await operator.patch(page.rows[0]?.id ?? '', { value: event }, 1);
      assert.equal(answer.status, status, answer.text);
      if (status === 200) {
        const { value, headers, event_id } = answer.body;
        assert.deepEqual(value, { ...event, event_id });
        assert.deepEqual([headers.tenant_id, headers.user_id], [event.tenant_id, event.user_id]);
        assert.deepEqual(await inboxOf(scene, group), { 'at:x': 'edited' });
      } else assert.equal(answer.body.code, 'conflict');
    }
  });

  it('refuses hostile bodies with the field that is wrong, and changes nothing', async () => {
    const { id, event } = await unorderedLetter(scene);
    const headers = { 'if-match': '"1"' };
    const nested = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`;
    const huge = { ...event, order: { ...event.order, currency: 'x'.repeat(1_000_000) } };
    for (const [body, status] of [
      ['{}', 422],
      ['{"unknown":1}', 422],
      ['{"state":"resolved"}', 422],
      ['{"note":""}', 422],
      ['{"note":"a\\u0000b"}', 422],
      ['{"headers":[]}', 422],
      ['{"headers":{"__proto__":"x"}}', 422],
      ['{"headers":{"bad name":"x"}}', 422],
      ['{"headers":{"a":{"b":1}}}', 422],
      [`{"headers":{"a":${JSON.stringify('x'.repeat(20_000))}}}`, 422],
      ['{"value":null}', 422],
      ['{"value":{"__proto__":{"tenant_id":"x"}}}', 422],
      ['{"value":{"constructor":{"prototype":{"polluted":true}}}}', 422],
      [`{"value":${nested}}`, 422],
      [JSON.stringify({ value: huge }), 413],
      [JSON.stringify({ value: 'x'.repeat(1_100_000) }), 413],
      ['{"note":', 400],
    ] as const) {
      const answer = await operator.raw(`/dead-letters/${id}`, body, headers);
      const isRefused = status === 413 ? [413, 422].includes(answer.status) : answer.status === status;
      assert.ok(isRefused, `${body.slice(0, 60)}: ${answer.status} ${answer.text.slice(0, 300)}`);
    }
    assert.equal(Reflect.get({}, 'polluted'), undefined);
    for (const tag of ['1', 'W/"1"', '"01"', '""', '"x"', '"1']) {
      const answer = await operator.raw(`/dead-letters/${id}`, '{"note":"x"}', { 'if-match': tag });
      assert.equal(answer.status, 412, tag);
    }
    assert.equal((await scene.letter(id)).version, 1);
  });

  it('can be switched off, and notes stay possible', async () => {
    const off = await openMending({ isEditing: false });
    try {
      const { id } = await unorderedLetter(off);
      const caller = await off.caller();
      const answer = await caller.patch(id, { headers: { a: 'x' } }, 1);
      assert.deepEqual([answer.status, answer.body.code], [403, 'forbidden']);
      assert.equal((await caller.patch(id, { note: 'x' }, 1)).status, 200);
    } finally {
      await off.close();
    }
  });
});
