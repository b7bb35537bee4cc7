/** Dead letters and parked keys are the operator's, and an administrator's as far as they are the own tenant's. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { openScene, type Person, type Scene } from '../e2e/dead-letters-scene.ts';

const mayCome: readonly Person[] = ['operator', 'admin', 'stranger'];
const maySee: readonly Person[] = ['operator', 'admin'];
const everyone: readonly Person[] = ['operator', 'admin', 'staff', 'customer', 'stranger'];

describe('the isolation of dead letters', function () {
  this.timeout(120_000);
  let scene: Scene;
  let letter: string;
  let marked: string;

  before(async () => {
    scene = await openScene();
    const [event] = scene.anOrder(1);
    assert.ok(event);
    await scene.send([{ event, headers: { 'x-ragline-failpoint': 'permanent' } }]);
    letter = (await scene.letter(`q=${event.event_id}`)).id;
    marked = event.event_id;
  });
  after(async () => {
    if (letter)
      await scene.call('operator', 'POST', `/v1/dead-letters/${letter}/discard`, {
        body: { reason: 'the test is over' },
      });
    await scene?.close();
  });

  it('shows lists to those who may come, each its own', async () => {
    const paths = [
      '/v1/dead-letters?limit=200',
      '/v1/dead-letters?q=PLACE',
      '/v1/dead-letters/export?format=ndjson',
      '/v1/dead-letters/export?format=csv',
      '/v1/parked-keys?limit=200',
    ];
    for (const template of paths) {
      const path = template.replace('PLACE', marked);
      for (const who of everyone) {
        const { status, text } = await scene.call(who, 'GET', path);
        assert.equal(status, mayCome.includes(who) ? 200 : 403, `${who} GET ${path}: ${text}`);
        const isThere = text.includes(letter) || text.includes(marked);
        assert.equal(isThere, maySee.includes(who), `${who} GET ${path}`);
      }
      assert.equal((await fetch(new URL(path, process.env.RAGLINE_URL))).status, 401, path);
    }
  });

  it('lets nobody widen what is seen by a filter', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<Person>('staff', 'customer', 'stranger'),
        fc.constantFrom(
          `tenant=${scene.tenantId}`,
          `tenant=${scene.tenantId}&state=waiting`,
          `q=${marked}`,
          'group=notifications',
          'topic=orders.v1',
        ),
        fc.constantFrom('', '/groups', '/stats', '/export'),
        async (who, filter, below) => {
          const { status, text } = await scene.call(who, 'GET', `/v1/dead-letters${below}?${filter}`);
          assert.ok([200, 403, 422].includes(status), `${who} ${below} ${filter}: ${status}`);
          for (const secret of [letter, marked, scene.tenantId])
            assert.ok(!text.includes(secret), `${who} ${below}?${filter}`);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('answers for a letter of another tenant as for one that is not there', async () => {
    const ways: [string, string, object?][] = [
      ['GET', ''],
      ['PATCH', '', { note: 'mine now' }],
      ['POST', '/replay', {}],
      ['POST', '/discard', { reason: 'mine now' }],
      ['POST', '/restore', {}],
    ];
    for (const [method, below, body] of ways) {
      for (const who of ['staff', 'customer', 'stranger'] as const) {
        const path = `/v1/dead-letters/${letter}${below}`;
        const headers = { 'if-match': '"1"' };
        const { status, text } = await scene.call(who, method, path, { headers, ...(body ? { body } : {}) });
        assert.equal(status, who === 'stranger' ? 404 : 403, `${who} ${method} ${path}: ${text}`);
        assert.ok(!text.includes(scene.tenantId));
      }
    }
    const { body } = await scene.call('operator', 'GET', `/v1/dead-letters/${letter}`);
    assert.deepEqual([body.state, body.notes], ['waiting', []]);
  });

  it('takes no letter of another tenant into a batch', async () => {
    for (const selection of [
      { ids: [letter] },
      { filter: { tenant: scene.tenantId } },
      { filter: { q: marked } },
    ]) {
      const body = { ...selection, action: 'discard', reason: 'mine now', dry_run: true };
      for (const who of ['staff', 'customer'] as const)
        assert.equal((await scene.call(who, 'POST', '/v1/dead-letters/batches', { body })).status, 403);
      const {
        status,
        text,
        body: plan,
      } = await scene.call('stranger', 'POST', '/v1/dead-letters/batches', { body });
      if (status < 300) assert.equal(plan.counts.selected, 0, text);
      else assert.ok([404, 409, 422].includes(status), text);
    }
  });

  it('lets an administrator neither see nor make rules for alerts about others', async () => {
    for (const who of ['staff', 'customer'] as const)
      assert.equal((await scene.call(who, 'GET', '/v1/dead-letters/alerts')).status, 403);
    for (const path of ['/v1/dead-letters/alerts', '/v1/dead-letters/groups', '/v1/dead-letters/stats']) {
      const { text } = await scene.call('stranger', 'GET', path);
      assert.ok(!text.includes(scene.tenantId) && !text.includes(letter), `${path}: ${text.slice(0, 400)}`);
    }
  });

  it('shows the letters of an event in its trace to those who may see them', async () => {
    const path = `/v1/events/${marked}/trace`;
    const { status, body } = await scene.call('operator', 'GET', path);
    assert.equal(status, 200);
    assert.deepEqual(
      body.dead_letters.map(({ id }: { id: string }) => id),
      [letter],
    );
    const hidden = await scene.call('stranger', 'GET', path);
    assert.ok(!hidden.text.includes(letter));
  });
});
