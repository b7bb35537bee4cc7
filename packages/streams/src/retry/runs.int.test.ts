import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { stack } from '../../../../tests/support/stack.ts';
import { postgresRuns } from './crashes.ts';

describe('what Postgres remembers of runs', () => {
  const groupId = `test-${randomUUID().slice(0, 8)}`;
  const place = { topic: 'orders.v1', partition: 3 };
  let pool: pg.Pool;
  before(() => {
    pool = new pg.Pool({ connectionString: stack().databaseUrlOf('ragline_notifications'), max: 3 });
  });
  after(async () => {
    await pool.end();
    for (const table of ['run', 'started']) await asOwner(`DELETE FROM streams.${table} WHERE group_id = $1`);
  });

  async function asOwner(text: string): Promise<void> {
    const owner = new pg.Client({ connectionString: stack().databaseUrl });
    await owner.connect();
    await owner.query(text, [groupId]);
    await owner.end();
  }

  it('tells a run how many before it did not end, and what they left begun', async () => {
    const runs = postgresRuns(pool, groupId);
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()];
    assert.deepEqual(await runs.begin(place, first), { unclean: 0, begun: new Map() });
    // Its answer was lost, and it asks again: it is not its own predecessor.
    assert.equal((await runs.begin(place, first)).unclean, 0);
    assert.equal((await runs.begin(place, second)).unclean, 1);
    await runs.start(place, second, 9_007_199_254_740_993n);
    await runs.start(place, second, 7n);
    await runs.finish(place, 7n);
    const { unclean, begun } = await runs.begin(place, third);
    assert.equal(unclean, 2);
    assert.deepEqual(begun, new Map([[9_007_199_254_740_993n, 2]]));
    await runs.start(place, third, 9_007_199_254_740_993n);
    await runs.end(place, third);
    assert.deepEqual(await runs.begin(place, randomUUID()), { unclean: 0, begun: new Map() });
  });

  it('believes a run that ends a moment after the next has begun', async () => {
    const runs = postgresRuns(pool, groupId);
    const other = { ...place, partition: 4 };
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()];
    await runs.begin(other, first);
    await runs.begin(other, second);
    assert.equal(await runs.endedLate(other, second), false);
    await runs.end(other, first);
    assert.equal(await runs.endedLate(other, second), true);
    // The first one’s end is not the second one’s.
    assert.equal((await runs.begin(other, third)).unclean, 1);
  });

  it('forgets after a day what nobody has said to be done', async () => {
    const runs = postgresRuns(pool, groupId);
    const other = { ...place, partition: 5 };
    const first = randomUUID();
    await runs.begin(other, first);
    await runs.start(other, first, 7n);
    await runs.start(other, first, 8n);
    await asOwner(
      `UPDATE streams.started SET at = at - interval '25 hours' WHERE group_id = $1 AND "offset" = 7`,
    );
    assert.deepEqual((await runs.begin(other, randomUUID())).begun, new Map([[8n, 2]]));
  });

  it('is kept from whoever is not the group', async () => {
    const runs = postgresRuns(pool, 'dead-letters');
    await assert.rejects(runs.begin(place, randomUUID()), /does not consume as group/);
    await assert.rejects(runs.end(place, randomUUID()), /does not consume as group/);
  });
});
