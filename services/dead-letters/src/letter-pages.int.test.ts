import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { type Filter, type FilterQuery, filterFrom, walkSettings, walkSql } from './letter-filter.ts';
import { aGroup, aLetter, aLetterOf, type LetterScene, openLetters } from './letters.support.ts';
import { seedLetters } from './letters-seed.support.ts';
import { keepHouse } from './maintenance.ts';
import { inScope, type Scope } from './scope.ts';

const operator: Scope = { tenant_id: null, user_id: null };
const limit = 50;
const many = 120_000;

describe('pages of letters', function () {
  this.timeout(180_000);
  let scene: LetterScene;
  let tenants: string[];
  let underWay: number;

  before(async () => {
    scene = await openLetters();
    tenants = await seedLetters(scene.owner, many);
    const { rows } = await scene.owner.query<{ count: number }>(
      `SELECT count(*)::int FROM dead_letters.letter WHERE state = 'replaying'`,
    );
    underWay = rows[0]?.count ?? 0;
  });
  after(() => scene?.close());

  describe(`of ${many.toLocaleString('en')}`, () => {
    const tenant = () => tenants[3] ?? '';
    const filters: [string, () => FilterQuery][] = [
      ['nothing', () => ({})],
      ['a state that most have', () => ({ state: 'resolved' })],
      ['a state that few have', () => ({ state: 'replaying' })],
      ['a group that most have', () => ({ group: 'group-0' })],
      ['a group that only the oldest have', () => ({ group: 'group-old' })],
      ['a topic', () => ({ topic: 'topic-3' })],
      ['an error code', () => ({ error_code: 'code-7' })],
      ['a fingerprint', () => ({ fingerprint: '1-77' })],
      ['a key', () => ({ key: 'key-4711' })],
      ['a time', () => ({ from: '2026-09-01T00:00:00Z', to: '2026-09-02T00:00:00Z' })],
      ['a group and a state', () => ({ group: 'group-0', state: 'waiting' })],
      ['a fingerprint and a state', () => ({ fingerprint: '1-77', state: 'discarded' })],
      [
        'a group, a state and a time',
        () => ({ group: 'group-0', state: 'waiting', to: '2026-08-01T00:00:00Z' }),
      ],
    ];
    for (const [what, query] of filters) {
      it(`reads no more than it shows, by ${what}, alone and within a tenant`, async () => {
        const filter = filterFrom(query());
        const walks: [Scope, Filter][] = [
          [operator, filter],
          [operator, { ...filter, tenant: tenant() }],
          [{ tenant_id: tenant(), user_id: null }, filter],
        ];
        for (const [scope, asked] of walks) {
          const { read, blocks, plan } = await readBy(scope, asked);
          assert.doesNotMatch(plan, /Seq Scan/, plan);
          // What it has read of the index was a range of it.
          assert.ok(blocks <= 10 * (limit + 1) + 200 + underWay, `${blocks} blocks were read\n${plan}`);
          // A range for each state, and then the page; and what is under way, of which there is little.
          assert.ok(read <= 5 * (limit + 1) + underWay, `${read} rows were read\n${plan}`);
        }
      });
    }

    it('reads some thousands at most where filters come together', async () => {
      const filter = filterFrom({ group: 'group-0', topic: 'topic-none', error_code: 'code-7' });
      const page = await scene.store.list(operator, filter, { before: undefined, limit });
      assert.deepEqual(page.rows, []);
      const { read } = await readBy(operator, filter, 1_000);
      assert.ok(read <= 4 * 1_000 + underWay, `${read} rows`);
    });

    it('comes to the end of a filter of which little is found', async () => {
      const filter = filterFrom({ group: 'group-0', topic: 'topic-old' });
      const found: string[] = [];
      let pages = 0;
      let before: string | undefined;
      do {
        const page = await scene.store.list(operator, filter, { before, limit });
        found.push(...page.rows.map(({ id }) => id));
        before = page.next;
        pages += 1;
      } while (before !== undefined && pages < 100);
      const { rows } = await scene.owner.query<{ count: number }>(
        `SELECT count(*)::int FROM dead_letters.letter WHERE group_id = 'group-0' AND topic = 'topic-old'`,
      );
      assert.equal(found.length, rows[0]?.count);
      assert.equal(new Set(found).size, found.length);
      assert.ok(found.length > 0);
    });

    it('finds a word that one has by its index, and one that many have on the way', async () => {
      for (const [q, count] of [
        ['needle-in-the-hay', 1],
        ['timeout', limit],
      ] as const) {
        const page = await scene.store.list(operator, filterFrom({ q }), { before: undefined, limit });
        assert.equal(page.rows.length, count, q);
      }
      const plan = await scene.owner.query<Record<string, string>>(
        `EXPLAIN SELECT letter_id FROM dead_letters.letter_words WHERE words @@ '''needle'':*'::tsquery`,
      );
      assert.match(JSON.stringify(plan.rows), /letter_words_gin/);
    });
  });

  it('goes through all of a filter in order, none twice, while more come', async () => {
    const group = aGroup();
    const letter = () => aLetter({ 'original-group': group });
    await scene.keep(Array.from({ length: 25 }, letter));
    const filter = filterFrom({ group });
    const ids: string[] = [];
    let before: string | undefined;
    do {
      const page = await scene.store.list(operator, filter, { before, limit: 10 });
      ids.push(...page.rows.map(({ id }) => id));
      before = page.next;
      await scene.keep([letter()]);
    } while (before !== undefined);
    assert.equal(new Set(ids).size, 25);
    assert.deepEqual(ids, ids.toSorted().reverse());
  });

  it('finds a letter by its event id, its error, its key and its value, and by the beginning of a word', async () => {
    const tenant = randomUUIDv7();
    const group = aGroup();
    const letter = aLetterOf(tenant, {
      'original-group': group,
      'error-message': 'Printer on fire (unit 7)',
    });
    await scene.keep([letter]);
    const found = async (q: string) => {
      const page = await scene.store.list({ tenant_id: tenant, user_id: null }, filterFrom({ q }), {
        before: undefined,
        limit,
      });
      return page.rows.length;
    };
    for (const q of [letter.event_id ?? '', 'printer fire', 'PRINT', group, 'order_created', tenant])
      assert.equal(await found(q), 1, q);
    for (const q of ['printer water', 'rinter', '???']) assert.equal(await found(q), 0, q);
  });

  it('shows an administrator nothing of others, whatever tenant is asked for', async () => {
    const [mine, others] = [randomUUIDv7(), randomUUIDv7()];
    await scene.keep([aLetterOf(mine), aLetterOf(others)]);
    const own: Scope = { tenant_id: mine, user_id: null };
    const list = (query: FilterQuery) =>
      scene.store.list(own, filterFrom(query), { before: undefined, limit });
    assert.deepEqual(
      (await list({})).rows.map(({ tenant_id }) => tenant_id),
      [mine],
    );
    assert.deepEqual((await list({ tenant: others })).rows, []);
    assert.deepEqual((await list({ tenant: others, q: 'order_created' })).rows, []);
  });

  it('adds up: sums are what counting gives, after whatever has happened', async () => {
    const tenant = randomUUIDv7();
    const group = aGroup();
    await scene.keep(Array.from({ length: 7 }, () => aLetterOf(tenant, { 'original-group': group })));
    await scene.pool.query('SELECT 1');
    const own: Scope = { tenant_id: tenant, user_id: null };
    const all = await scene.store.list(own, filterFrom({ group }), { before: undefined, limit: 10 });
    const [gone, done] = all.rows;
    assert.ok(gone && done);
    await scene.owner.query('DELETE FROM dead_letters.letter WHERE id = $1', [gone.id]);
    await scene.owner.query(`UPDATE dead_letters.letter SET state = 'resolved' WHERE id = $1`, [done.id]);
    for (const scope of [own, operator]) {
      const stats = await scene.store.stats(scope);
      const states = { waiting: 5, replaying: 0, resolved: 1, discarded: 0 };
      assert.deepEqual(stats.groups.find((it) => it.group === group)?.states, states);
      const groups = await scene.store.groups(scope, { behind: undefined, limit: 200, open: true });
      const cause = groups.find((it) => it.group === group);
      assert.deepEqual([cause?.count, cause?.states], [6, states]);
      assert.deepEqual(
        [cause?.why?.error_class, cause?.why?.message],
        ['TypeError', 'Cannot read the price of order <n>'],
      );
    }
    const { rates, total } = await scene.store.stats(own);
    assert.deepEqual([total, rates.last_hour], [6, { kept: 7, resolved: 1 }]);
  });

  it('turns minutes of days before into hours, and forgets what is older than a week', async () => {
    const tenant = randomUUIDv7();
    const now = Date.now();
    const at = (hours: number, minutes: number) =>
      new Date(Math.floor(now / 3_600_000 - hours) * 3_600_000 + minutes * 60_000);
    const times = [at(1, 3), at(50, 0), at(50, 3), at(50, 4), at(300, 3)];
    await scene.owner.query(
      `INSERT INTO dead_letters.pace (tenant_id, minute, group_id, event, events)
       SELECT $1, minute, 'g', 'kept', 1 FROM unnest($2::timestamptz[]) AS minute`,
      [tenant, times],
    );
    // Of the seed's letters nothing is forgotten: the tests after this one need them.
    await keepHouse(scene.pool, 3_650, 2);
    const { rows } = await scene.owner.query(
      'SELECT minute, events FROM dead_letters.pace WHERE tenant_id = $1 ORDER BY minute DESC',
      [tenant],
    );
    assert.deepEqual(
      rows.map(({ minute, events }) => [minute.toISOString(), Number(events)]),
      [
        [at(1, 3).toISOString(), 1],
        [at(50, 0).toISOString(), 3],
      ],
    );
  });

  it('counts what people did', async () => {
    const tenant = randomUUIDv7();
    await inScope(scene.pool, { tenant_id: tenant, user_id: null }, (client) =>
      client.query(
        `INSERT INTO dead_letters.action (id, verb, tenant_id) VALUES (uuidv7(), 'replay', $1), (uuidv7(), 'edit', $1), (uuidv7(), 'replay', $1)`,
        [tenant],
      ),
    );
    // One reading folds in so many changes at most, and the seed's came before.
    await eventually(
      async () => {
        const { manual_interventions } = await scene.store.stats({ tenant_id: tenant, user_id: null });
        assert.deepEqual(manual_interventions.last_day, { replay: 2, edit: 1 });
      },
      { withinMs: 30_000 },
    );
  });

  /** Rows of the table that the page's statement read, under row-level security. */
  async function readBy(scope: Scope, filter: Filter, max = limit + 1) {
    return inScope(scene.pool, scope, async (client) => {
      await client.query(walkSettings);
      const { text, values } = walkSql({ scope, filter, before: undefined }, max, limit + 1);
      const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Node }] }>({
        text: `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`,
        values,
      });
      const plan = rows[0]?.['QUERY PLAN'][0].Plan;
      assert.ok(plan);
      const blocks = plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      return { read: rowsRead(plan), blocks, plan: JSON.stringify(plan, undefined, 1) };
    });
  }
});

type Node = {
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Node[];
};

function rowsRead(node: Node): number {
  const below = (node.Plans ?? []).reduce((sum, it) => sum + rowsRead(it), 0);
  if (node['Relation Name'] !== 'letter') return below;
  return below + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
}
