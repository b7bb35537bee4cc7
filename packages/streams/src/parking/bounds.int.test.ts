import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import type pg from 'pg';
import type { Place } from './store.ts';
import { openParking, type ParkingScene } from './testing.ts';

describe('what is asked of lines often', function () {
  this.timeout(60_000);
  let scene: ParkingScene;
  before(async () => {
    scene = await openParking();
  });
  after(() => scene.close());

  const many = 5_000;
  // What one probe of an index reads is less than ten.
  const few = 100;

  /** Dead records, each in a line of its own, of which Kafka has not been told. */
  async function park(place: Place, tenant: string | null, count: number): Promise<void> {
    await scene.admin.query(
      `WITH line AS (
         INSERT INTO streams.parked_key (group_id, topic, partition, key, tenant_id, attempt, not_before, last_offset, depth, bytes)
         SELECT $1, $2, $3, convert_to('key ' || n, 'UTF8'), $4, 1, 'infinity', n, 1, 100 FROM generate_series(1, $5::int) AS n
         RETURNING id, last_offset)
       INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, tenant_id, value, headers, stamped_at, bytes, deaths)
       SELECT id, last_offset, gen_random_uuid(), 'event', $4, 'value', '{}', 0, 100, 1 FROM line`,
      [place.group_id, place.topic, place.partition, tenant, count],
    );
  }

  /** Blocks that a call reads once the connection has settled on a plan. */
  async function blocksOf(pool: pg.Pool, call: string, values: unknown[]): Promise<number> {
    const client = await pool.connect();
    try {
      for (let i = 0; i < 7; i += 1) await client.query({ name: `warm ${call}`, text: call, values });
      const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${call}`, values);
      const plan = rows[0]['QUERY PLAN'][0].Plan;
      return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    } finally {
      client.release();
    }
  }

  it('looks into one partition without reading what another one has not announced', async () => {
    const place = scene.place();
    await park({ ...place, partition: 1 }, null, many);
    await park(scene.place(), null, many);
    const { lease } = await scene.store.assign(place, 'test');
    const values = [place.group_id, [place.topic], [0], [lease.epoch]];
    const blocks = await blocksOf(scene.pool, 'SELECT * FROM streams.look($1, $2, $3, $4)', values);
    assert.ok(blocks < few, `${blocks} blocks`);
    assert.deepEqual(await scene.store.look(lease), { due: false, letters: false });
  });

  it('reads as many unannounced records as are wanted, oldest first, and no more of them', async () => {
    const place = scene.place();
    await park(place, null, many);
    const { lease } = await scene.store.assign(place, 'test');
    const letters = await scene.store.unannounced(lease, 5);
    assert.deepEqual(
      letters.map(({ offset }) => offset),
      ['1', '2', '3', '4', '5'],
    );
    const values = [place.group_id, place.topic, 0, 5];
    const blocks = await blocksOf(scene.pool, 'SELECT * FROM streams.unannounced($1, $2, $3, $4)', values);
    assert.ok(blocks < few, `${blocks} blocks`);
  });

  it('finds a tenant’s lines without reading those of others', async () => {
    const tenant = randomUUID();
    const place = scene.place();
    await park(place, randomUUID(), many);
    await park({ ...place, partition: 1 }, tenant, 2);
    await scene.admin.query('ANALYZE streams.parked_key');
    const call = 'SELECT * FROM streams.parked_lines($1, $2, NULL, 0, 50)';
    const values = [tenant, place.group_id];
    assert.equal((await scene.operators.query(call, values)).rows.length, 2);
    const blocks = await blocksOf(scene.operators, call, values);
    assert.ok(blocks < few, `${blocks} blocks`);
  });
});
