import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { after, before, describe, it } from 'mocha';
import request from 'supertest';
import { startTokens } from '../../../tests/support/tokens.ts';
import { addLetterRoutes } from './http.ts';
import { maskOf, sensitiveHeaders } from './letter-view.ts';
import { aGroup, aLetter, aLetterOf, type LetterScene, openLetters } from './letters.support.ts';
import { keepHouse } from './maintenance.ts';
import { groupShape, letterShape, statsShape, summaryShape } from './shapes.ts';

describe('REST of dead letters', function () {
  this.timeout(60_000);
  let scene: LetterScene;
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  let app: ReturnType<typeof createApp>['app'];

  before(async () => {
    scene = await openLetters();
    tokens = await startTokens();
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const api = createApi({ title: 'test', authentication: createAuthentication(tokens.settings) });
    addLetterRoutes({ api, store: scene.store, mask: maskOf(sensitiveHeaders) });
    const metrics = createMetrics({ service: 'test' });
    ({ app } = createApp({ service: 'test', log, metrics, health: createHealth(), api }));
  });
  after(async () => {
    await tokens?.jwks.stop();
    await scene?.close();
  });

  const as = (role: string, tenant_id: string = randomUUIDv7()) => {
    const token = tokens.token({ tenant_id, user_id: randomUUIDv7(), roles: [role] });
    return async (path: string) =>
      request(app)
        .get(path)
        .set('authorization', `Bearer ${await token}`);
  };

  it('shows a letter with the fields of the contract', async () => {
    const tenant = randomUUIDv7();
    const group = aGroup();
    const letter = aLetterOf(tenant, {
      'original-group': group,
      authorization: 'Bearer x',
      'x-raw': Buffer.from([255]),
    });
    await scene.keep([letter]);
    const get = as('admin', tenant);
    const list = await get(`/v1/dead-letters?group=${group}`);
    assert.equal(list.status, 200, list.text);
    const [summary] = list.body.data;
    assert.deepEqual(Object.keys(summaryShape.parse(summary)).sort(), Object.keys(summary).sort());
    assert.equal(list.body.next_cursor, null);

    const answer = await get(`/v1/dead-letters/${summary.id}`);
    assert.deepEqual([answer.status, answer.headers.etag], [200, '"1"']);
    const { body } = answer;
    const fields =
      'id state group topic partition offset key tenant_id event_id event_type schema_id value raw headers error_code error_class error_message fingerprint attempts notes version first_failed_at kept_at';
    for (const field of fields.split(' ')) assert.ok(field in body, field);
    assert.deepEqual(Object.keys(letterShape.parse(body)).sort(), Object.keys(body).sort());
    assert.deepEqual(
      [body.group, body.offset, body.key, body.raw],
      [group, letter.offset, 'key', Buffer.from('value').toString('base64')],
    );
    assert.deepEqual([body.headers.authorization, body.headers['x-raw']], ['***', { base64: '/w==' }]);
    assert.equal(body.value.tenant_id, tenant);
    assert.equal(body.group_why.message, 'Cannot read the price of order <n>');
    assert.deepEqual([body.attempts.length, body.attempts[0].attempt, body.notes], [1, 5, []]);
  });

  it('gives each page the next, until the last', async () => {
    const group = aGroup();
    await scene.keep(Array.from({ length: 5 }, () => aLetter({ 'original-group': group })));
    const get = as('operator');
    const ids: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { body } = await get(`/v1/dead-letters?group=${group}&limit=2${cursor && `&cursor=${cursor}`}`);
      ids.push(...body.data.map(({ id }: { id: string }) => id));
      cursor = body.next_cursor;
    }
    assert.equal(new Set(ids).size, 5);
  });

  it('takes the filters of the contract', async () => {
    const tenant = randomUUIDv7();
    const group = aGroup();
    const letter = aLetterOf(tenant, {
      'original-group': group,
      'error-code': 'odd_code',
      'original-topic': 'odd.topic',
    });
    await scene.keep([letter, aLetter({ 'original-group': group })]);
    const get = as('operator');
    const from = new Date(Date.now() - 60_000).toISOString();
    const fits = [
      `tenant=${tenant}`,
      'error_code=odd_code',
      'topic=odd.topic',
      `fingerprint=${letter.fingerprint}&error_code=odd_code`,
      `key=key&tenant=${tenant}`,
      `state=waiting&tenant=${tenant}`,
      `from=${from}&tenant=${tenant}`,
      `q=${letter.event_id}`,
    ];
    for (const query of fits) {
      const { body } = await get(`/v1/dead-letters?group=${group}&${query}`);
      assert.deepEqual(
        body.data?.map((it: { tenant_id: string }) => it.tenant_id),
        [tenant],
        query,
      );
    }
    for (const query of [
      `to=${from}`,
      'state=resolved',
      'key=other',
      'topic=none',
      'q=nothing',
      'q=%26%7C%21',
    ]) {
      const { body } = await get(`/v1/dead-letters?group=${group}&${query}`);
      assert.deepEqual(body.data, [], query);
    }
  });

  it('groups what failed alike, and says why', async () => {
    const tenant = randomUUIDv7();
    const group = aGroup();
    await scene.keep([
      ...[1, 2, 3].map((n) =>
        aLetterOf(tenant, { 'original-group': group, 'error-message': `no order ${n}` }),
      ),
      aLetterOf(tenant, { 'original-group': group, 'error-message': 'no printer' }),
    ]);
    const { body } = await as('admin', tenant)('/v1/dead-letters/groups?open=true');
    for (const it of body.data) groupShape.parse(it);
    const found = body.data
      .map((it: { count: number; why: { message: string } }) => [it.count, it.why.message])
      .sort();
    assert.deepEqual(found, [
      [1, 'no printer'],
      [3, 'no order <n>'],
    ]);
    const first = await as('admin', tenant)('/v1/dead-letters/groups?limit=1');
    const second = await as(
      'admin',
      tenant,
    )(`/v1/dead-letters/groups?limit=1&cursor=${first.body.next_cursor}`);
    assert.equal(second.body.next_cursor, null);
    assert.notEqual(first.body.data[0].fingerprint, second.body.data[0].fingerprint);
  });

  it('counts in a tenant what is the tenant’s', async () => {
    const tenant = randomUUIDv7();
    await scene.keep([aLetterOf(tenant), aLetterOf(randomUUIDv7())]);
    const { body } = await as('admin', tenant)('/v1/dead-letters/stats');
    statsShape.parse(body);
    assert.deepEqual(
      [body.total, body.states.waiting, body.error_codes],
      [1, 1, [{ error_code: 'handler_failed', count: 1 }]],
    );
    assert.ok(body.oldest_age_s >= 0);
  });

  it('is for operators and administrators', async () => {
    const [mine, others] = [randomUUIDv7(), randomUUIDv7()];
    const group = aGroup();
    await scene.keep([aLetterOf(others, { 'original-group': group }), aLetter({ 'original-group': group })]);
    const all = await as('operator')(`/v1/dead-letters?group=${group}`);
    assert.equal(all.body.data.length, 2);
    const own = await as('admin', mine)(`/v1/dead-letters?group=${group}&tenant=${others}`);
    assert.deepEqual([own.status, own.body.data], [200, []]);
    for (const { id } of all.body.data) {
      assert.equal((await as('admin', mine)(`/v1/dead-letters/${id}`)).status, 404);
    }
    for (const role of ['customer', 'staff']) {
      for (const path of ['', '/groups', '/stats', `/${all.body.data[0].id}`]) {
        assert.equal((await as(role, others)(`/v1/dead-letters${path}`)).status, 403, `${role} ${path}`);
      }
    }
    assert.equal((await request(app).get('/v1/dead-letters')).status, 401);
  });

  const refusals: [string, number][] = [
    ['/17', 404],
    [`/${randomUUIDv7()}`, 404],
    ['?cursor=abc', 400],
    ['?cursor=WzEsMl0', 400],
    ['?limit=201', 422],
    ['?state=lost', 422],
    ['?tenant=acme', 422],
    ['?from=yesterday', 422],
    ['?q=%00', 422],
    ['?key=%00', 422],
    ['/groups?cursor=abc', 400],
    ['/groups?cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiJd', 400],
  ];
  for (const [path, status] of refusals) {
    it(`answers ${path} with ${status}`, async () => {
      const answer = await as('operator')(`/v1/dead-letters${path}`);
      assert.equal(answer.status, status, answer.text);
    });
  }

  it('forgets letters after their time, in small steps, with all that belongs to them, and counts on', async () => {
    const group = aGroup();
    await scene.keep(Array.from({ length: 7 }, () => aLetter({ 'original-group': group })));
    // As if kept a hundred days ago: the id says when.
    const old = (Date.now() - 100 * 86_400_000).toString(16).padStart(12, '0');
    for (const table of ['attempt', 'letter_words']) {
      await scene.owner.query(
        `ALTER TABLE dead_letters.${table} DROP CONSTRAINT ${table}_letter_id_fkey, ADD CONSTRAINT ${table}_letter_id_fkey
           FOREIGN KEY (letter_id) REFERENCES dead_letters.letter ON DELETE CASCADE ON UPDATE CASCADE`,
      );
    }
    await scene.owner.query(
      `WITH moved AS (
         UPDATE dead_letters.letter SET id = (overlay(replace(id::text, '-', '') PLACING $2 FROM 1 FOR 12))::uuid
          WHERE id IN (SELECT id FROM dead_letters.letter WHERE group_id = $1 LIMIT 5) RETURNING id)
       SELECT count(*) FROM moved`,
      [group, old],
    );
    assert.equal(await keepHouse(scene.pool, 120, 2), 0);
    assert.equal(await keepHouse(scene.pool, 90, 2), 5);
    const { body } = await as('operator')('/v1/dead-letters/stats');
    const counted = body.groups.find((it: { group: string }) => it.group === group);
    assert.equal(counted.states.waiting, 2);
    const { rows } = await scene.owner.query<{ left: number }>(
      `SELECT count(*)::int AS left FROM dead_letters.attempt WHERE NOT EXISTS (SELECT FROM dead_letters.letter l WHERE l.id = letter_id)
          OR letter_id IN (SELECT id FROM dead_letters.letter WHERE group_id = $1)`,
      [group],
    );
    assert.equal(rows[0]?.left, 2);
  });
});
