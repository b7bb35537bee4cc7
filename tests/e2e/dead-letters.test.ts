import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../support/eventually.ts';
import { etagOf, group, openScene, type Scene, titles } from './dead-letters-scene.ts';

describe('dead letters through the gateway', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  after(() => scene?.close());

  const path = (id: string, verb = '') => `/v1/dead-letters/${id}${verb && `/${verb}`}`;
  const patch = async (id: string, body: object) => {
    const found = await scene.call('admin', 'GET', path(id));
    return scene.call('admin', 'PATCH', path(id), { body, headers: etagOf(found) });
  };
  /** A record that its handler refuses for good, with a key of its own. */
  const aPoison = async (headers: Record<string, string> = {}) => {
    const [event] = scene.anOrder(1);
    assert.ok(event);
    await scene.send([{ event, headers: { 'x-ragline-failpoint': 'permanent', ...headers } }]);
    return { event, letter: await scene.letter(`key=${event.order.id}`, 'admin') };
  };

  describe('a poison record among 1,000', () => {
    let poisoned: OrderEvent[];
    let letter: Awaited<ReturnType<Scene['letter']>>;

    it('holds up none of the other 999', async () => {
      poisoned = scene.anOrder(5);
      const [head, ...followers] = poisoned;
      assert.ok(head);
      // Its customer is told of an order by its id, and this is none.
      const poison = { ...head, order: { ...head.order, id: `${head.order.id}?` } };
      const healthy = Array.from({ length: 333 }, () => scene.anOrder(3));
      await scene.send([
        ...healthy.slice(0, 100).flatMap((order) => order.map((event) => ({ event }))),
        { event: poison, key: head.order.id },
        ...followers.map((event) => ({ event })),
        ...healthy.slice(100).flatMap((order) => order.map((event) => ({ event }))),
      ]);
      await eventually(
        async () => {
          const told = await scene.told();
          const expected = healthy.map(([first]) => [first?.order.id, titles.slice(0, 3)] as const);
          assert.deepEqual(
            expected.filter(([id, all]) => told.get(id ?? '')?.join() !== all.join()),
            [],
          );
        },
        { withinMs: 20_000, everyMs: 100 },
      );
      assert.equal((await scene.told()).has(head.order.id), false, 'followers wait behind it');
    });

    it('becomes a letter with its cause, its decoded value and every attempt', async () => {
      const key = poisoned[0]?.order.id ?? '';
      letter = await scene.letter(`group=${group}&key=${key}`, 'admin');
      assert.deepEqual(
        [letter.state, letter.group, letter.topic, letter.key, letter.tenant_id, letter.event_type],
        ['waiting', group, 'orders.v1', key, scene.tenantId, 'order_created'],
      );
      assert.equal(letter.event_id, poisoned[0]?.event_id);
      assert.equal(letter.value.order.id, `${key}?`);
      assert.equal(letter.value.order.total, poisoned[0]?.order.total);
      assert.match(letter.error_message, /uuid/);
      assert.ok(letter.error_code && letter.error_class && letter.fingerprint);
      assert.ok(letter.schema_id > 0);
      assert.ok(Buffer.from(letter.raw, 'base64').length > 5);
      const numbers = letter.attempts.map(({ attempt }: { attempt: number }) => attempt);
      assert.ok(numbers.length > 0 && numbers.at(-1) >= numbers.length, JSON.stringify(letter.attempts));
      for (const attempt of letter.attempts) assert.ok(attempt.failed_at && attempt.error_message);
    });

    it('has its followers parked behind it, where its tenant and the operator see them', async () => {
      for (const who of ['admin', 'operator'] as const) {
        const { data } = await scene.ask(who, 'GET', `/v1/parked-keys?group=${group}&limit=200`);
        const [line] = data.filter(({ key }: { key: string }) => key === poisoned[0]?.order.id);
        assert.equal(line?.followers, 4, JSON.stringify(data));
      }
      const { data } = await scene.ask('stranger', 'GET', `/v1/parked-keys?group=${group}&limit=200`);
      assert.deepEqual(
        data.filter(({ key }: { key: string }) => key === poisoned[0]?.order.id),
        [],
      );
    });

    it('fails again when it is replayed as it is, with the attempt appended', async () => {
      const before = letter.attempts.length;
      await scene.ask('admin', 'POST', path(letter.id, 'replay'), {});
      await eventually(
        async () => {
          letter = (await scene.call('admin', 'GET', path(letter.id))).body;
          assert.deepEqual([letter.state, letter.attempts.length], ['waiting', before + 1]);
        },
        { withinMs: 20_000, everyMs: 100 },
      );
      assert.equal((await scene.told()).has(poisoned[0]?.order.id ?? ''), false);
    });

    it('is edited under a new event id, replayed and resolved; its followers come after it, in order', async () => {
      const key = poisoned[0]?.order.id ?? '';
      const value = { ...letter.value, order: { ...letter.value.order, id: key } };
      const edited = await patch(letter.id, { value });
      assert.equal(edited.status, 200, edited.text);
      assert.equal(edited.body.edited_from, poisoned[0]?.event_id);
      assert.notEqual(edited.body.event_id, poisoned[0]?.event_id);
      assert.equal(edited.body.value.event_id, edited.body.event_id);
      assert.equal(edited.body.headers.id, edited.body.event_id);

      await scene.ask('admin', 'POST', path(letter.id, 'replay'), {});
      await scene.inState(letter.id, 'resolved');
      await eventually(async () => assert.deepEqual((await scene.told()).get(key), titles));
      assert.equal(await scene.parked(), 0);
    });

    it('is told of on dead_letters.v1, step by step', async () => {
      const expected = [
        'dead_letter_kept',
        'dead_letter_replaying',
        'dead_letter_failed_again',
        'dead_letter_edited',
        'dead_letter_replaying',
        'dead_letter_resolved',
      ];
      await eventually(async () => assert.deepEqual(await scene.events(letter.id), expected));
    });
  });

  it('are mended by taking a header away, too', async () => {
    const { event, letter } = await aPoison();
    const edited = await patch(letter.id, { headers: { 'x-ragline-failpoint': null } });
    assert.equal(edited.status, 200, edited.text);
    await scene.ask('admin', 'POST', path(letter.id, 'replay'), {});
    await scene.inState(letter.id, 'resolved');
    await eventually(async () => assert.deepEqual((await scene.told()).get(event.order.id), [titles[0]]));
  });

  it('are not made of what fails three times and then works', async () => {
    const events = scene.anOrder(3);
    const headers = { 'x-ragline-failpoint': 'fail:3' };
    await scene.send(events.map((event, at) => (at === 0 ? { event, headers } : { event })));
    const key = events[0]?.order.id ?? '';
    await eventually(async () => assert.deepEqual((await scene.told()).get(key), titles.slice(0, 3)), {
      withinMs: 30_000,
    });
    assert.deepEqual((await scene.ask('operator', 'GET', `/v1/dead-letters?key=${key}`)).data, []);
  });

  it('are the operator’s and the own tenant’s admin’s alone', async () => {
    const { letter } = await aPoison();
    for (const who of ['staff', 'customer'] as const) {
      for (const at of ['/v1/dead-letters', path(letter.id), '/v1/dead-letters/stats', '/v1/parked-keys']) {
        await scene.ask(who, 'GET', at, undefined, 403);
      }
      await scene.ask(who, 'POST', path(letter.id, 'replay'), {}, 403);
    }
    await scene.ask('stranger', 'GET', path(letter.id), undefined, 404);
    for (const verb of ['replay', 'discard', 'restore']) {
      const body = verb === 'discard' ? { reason: 'mine now' } : {};
      await scene.ask('stranger', 'POST', path(letter.id, verb), body, 404);
    }
    const listed = await scene.ask('stranger', 'GET', `/v1/dead-letters?key=${letter.key}`);
    assert.deepEqual(listed.data, []);
    await scene.ask('operator', 'GET', path(letter.id));
    await scene.ask('admin', 'POST', path(letter.id, 'discard'), { reason: 'a test' });
  });

  it('are edited only by who has seen the present version, and only where they are not locked', async () => {
    const { letter } = await aPoison({ authorization: 'Bearer of-somebody', 'x-note': 'plain' });
    const headers = etagOf(await scene.call('admin', 'GET', path(letter.id)));
    const without = await scene.call('admin', 'PATCH', path(letter.id), { body: { note: 'hello' } });
    assert.deepEqual([without.status, without.body.code], [428, 'precondition_required']);
    const noted = await scene.call('admin', 'PATCH', path(letter.id), { body: { note: 'hello' }, headers });
    assert.deepEqual([noted.status, noted.body.notes.at(-1).text], [200, 'hello']);
    const late = await scene.call('admin', 'PATCH', path(letter.id), { body: { note: 'late' }, headers });
    assert.deepEqual([late.status, late.body.code], [412, 'version_mismatch']);

    const { value } = letter;
    const faults: [object, RegExp][] = [
      [{ value: { ...value, order: { ...value.order, total: 'much' } } }, /order\.total/],
      [{ value: { ...value, tenant_id: randomUUID() } }, /tenant_id/],
      [{ value: { ...value, order: { ...value.order, user_id: randomUUID() } } }, /order\.user_id/],
      [{ value: { ...value, order: { ...value.order, id: randomUUID() } } }, /order\.id/],
      [{ value: { ...value, surprise: 1 } }, /surprise/],
      [{ headers: { tenant_id: randomUUID() } }, /headers\.tenant_id/],
      [{ headers: { 'original-topic': 'elsewhere' } }, /headers\.original-topic/],
    ];
    for (const [body, at] of faults) {
      const answer = await patch(letter.id, body);
      assert.deepEqual([answer.status, answer.body.code], [422, 'invalid'], JSON.stringify(body));
      const paths = answer.body.errors.map((error: { path: string }) => error.path);
      assert.ok(
        paths.some((it: string) => at.test(it)),
        `${answer.text} names ${at}`,
      );
    }
    const shown = await scene.call('operator', 'GET', path(letter.id));
    assert.equal(shown.body.headers['x-note'], 'plain');
    assert.doesNotMatch(shown.text, /of-somebody/);
    await scene.ask('admin', 'POST', path(letter.id, 'discard'), { reason: 'a test' });
  });

  it('are discarded with a reason, restored, and gone from their line meanwhile', async () => {
    const { event, letter } = await aPoison();
    await scene.ask('admin', 'POST', path(letter.id, 'discard'), {}, 422);
    const discarded = await scene.ask('admin', 'POST', path(letter.id, 'discard'), { reason: 'a duplicate' });
    assert.deepEqual([discarded.state, discarded.discard_reason], ['discarded', 'a duplicate']);
    await scene.ask('admin', 'POST', path(letter.id, 'replay'), {}, 409);
    const [, next] = scene.anOrder(2);
    assert.ok(next);
    await scene.send([{ event: { ...next, order: { ...next.order, id: event.order.id } } }]);
    await eventually(async () => assert.deepEqual((await scene.told()).get(event.order.id), [titles[1]]));

    const restored = await scene.ask('admin', 'POST', path(letter.id, 'restore'), {});
    assert.equal(restored.state, 'waiting');
    const edited = await patch(letter.id, { headers: { 'x-ragline-failpoint': null } });
    assert.equal(edited.status, 200, edited.text);
    await scene.ask('admin', 'POST', path(letter.id, 'replay'), {});
    await scene.inState(letter.id, 'resolved');
    await eventually(async () => assert.equal((await scene.told()).get(event.order.id)?.length, 2));
  });

  it('are also made of garbage and of unknown schemas, for the operator alone', async () => {
    const garbage = { key: `=HYPERLINK(${randomUUID()})`, value: Buffer.from('not avro at all') };
    const unknown = { key: randomUUID(), value: Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0, 2, 4]) };
    const headers = { id: randomUUID(), tenant_id: scene.tenantId, user_id: '', event_type: 'order_created' };
    await scene.send([
      { ...garbage, headers },
      { ...unknown, headers: { ...headers, id: randomUUID() } },
    ]);
    // Every group that reads the topic has letters of its own of what nobody can read.
    const first = await scene.letter(`group=${group}&key=${encodeURIComponent(garbage.key)}`);
    assert.deepEqual([first.value, first.error_code, first.tenant_id], [null, 'not_confluent', null]);
    assert.equal(Buffer.from(first.raw, 'base64').toString(), 'not avro at all');
    const second = await scene.letter(`group=${group}&key=${unknown.key}`);
    assert.deepEqual([second.value, second.error_code, second.tenant_id], [null, 'schema_unknown', null]);
    for (const { id } of [first, second]) await scene.ask('admin', 'GET', path(id), undefined, 404);

    const query = `key=${encodeURIComponent(garbage.key)}`;
    const csv = await scene.call('operator', 'GET', `/v1/dead-letters/export?format=csv&${query}`);
    assert.equal(csv.status, 200, csv.text);
    assert.ok(csv.text.includes(garbage.key.slice(1)));
    assert.doesNotMatch(csv.text, /(^|,|\n)"?=HYPERLINK/);
    for (const { id } of [first, second]) {
      await scene.ask('operator', 'POST', path(id, 'discard'), { reason: 'nobody can read it' });
    }
  });

  it('are found by each filter, grouped, counted and exported', async () => {
    const { event, letter } = await aPoison({ authorization: 'Bearer of-somebody' });
    const since = new Date(Date.parse(letter.kept_at) - 1_000).toISOString();
    const filters = [
      'state=waiting',
      `group=${group}`,
      'topic=orders.v1',
      `error_code=${letter.error_code}`,
      `fingerprint=${letter.fingerprint}`,
      `key=${letter.key}`,
      `from=${since}`,
      `q=${event.event_id}`,
    ];
    for (const filter of filters) {
      const { data } = await scene.ask('admin', 'GET', `/v1/dead-letters?limit=200&${filter}`);
      const ids = data.map(({ id }: { id: string }) => id);
      assert.ok(ids.includes(letter.id), filter);
    }
    const earlier = await scene.ask('admin', 'GET', `/v1/dead-letters?key=${letter.key}&to=${since}`);
    assert.deepEqual(earlier.data, []);
    const byTenant = await scene.ask(
      'operator',
      'GET',
      `/v1/dead-letters?tenant=${scene.tenantId}&key=${letter.key}`,
    );
    assert.equal(byTenant.data.length, 1);

    await eventually(async () => {
      const { data } = await scene.ask('admin', 'GET', '/v1/dead-letters/groups?limit=200');
      const [own] = data.filter((it: { fingerprint: string }) => it.fingerprint === letter.fingerprint);
      assert.ok(own?.count >= 1 && own.states.waiting >= 1 && own.sample, JSON.stringify(data));
      const stats = await scene.ask('admin', 'GET', '/v1/dead-letters/stats');
      assert.ok(stats.states.waiting >= 1 && stats.total >= own.count, JSON.stringify(stats));
    });
    const exported = await scene.call(
      'admin',
      'GET',
      `/v1/dead-letters/export?format=ndjson&key=${letter.key}`,
    );
    const lines = exported.text.trim().split('\n');
    assert.deepEqual([exported.status, lines.length], [200, 1], exported.text);
    assert.equal(JSON.parse(lines[0] ?? '').id, letter.id);
    assert.doesNotMatch(exported.text, /of-somebody/);
    await scene.ask('admin', 'POST', path(letter.id, 'discard'), { reason: 'a test' });
  });
});
