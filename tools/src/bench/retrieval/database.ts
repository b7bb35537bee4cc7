/** A migrated database beside the stack's, with chunks of fifty tenants. */
import { randomUUID } from 'node:crypto';
import { migrate } from '@ragline/postgres/migrate';
import { createLogger } from '@ragline/runtime/logger';
import pg from 'pg';
import type { Settings } from '../../parts/settings.ts';

const log = createLogger({ service: 'bench', level: 'error' });

export type BenchDatabase = Awaited<ReturnType<typeof makeDatabase>>;

export async function makeDatabase(settings: Settings) {
  const name = `bench_${randomUUID().slice(0, 8)}`;
  const url = new URL(settings.get('DATABASE_URL'));
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  url.pathname = `/${name}`;
  await migrate({ databaseUrl: url.href, log });
  const owner = new pg.Pool({ connectionString: url.href, max: 1 });
  // Its last idle connection may be ended by the drop.
  owner.on('error', () => {});
  const own = new URL(settings.get('DATABASE_URL_RAGLINE_CHAT'));
  own.pathname = `/${name}`;
  return {
    owner,
    url: own.href,
    async drop() {
      await owner.end();
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}

export type Passage = { title: string; category: string; price: number; text: string; vector: Float32Array };

/**
 * Replaces all chunks. The first of each passage of each tenant is the passage itself. The others are what texts of one
 * trade are like: its vector, half of another passage's, and a random one a third as long as it, of 2,000.
 *
 * @param shares how many chunks each tenant has
 */
export async function fill(
  owner: pg.Pool,
  table: string,
  passages: readonly Passage[],
  shares: ReadonlyMap<string, number>,
): Promise<void> {
  const { length: dimensions } = passages[0]?.vector ?? [];
  const client = await owner.connect();
  try {
    await client.query("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'");
    await client.query('TRUNCATE chat.source CASCADE');
    await client.query(`DROP INDEX IF EXISTS chat.${table}_hnsw, chat.${table}_ivfflat`);
    await client.query(
      `CREATE TEMP TABLE IF NOT EXISTS passage (n int PRIMARY KEY, title text, category text, price int, body text, v vector(${dimensions}));
       CREATE TEMP TABLE IF NOT EXISTS noise (n int PRIMARY KEY, v vector(${dimensions}));
       TRUNCATE passage, noise`,
    );
    await client.query(
      `INSERT INTO passage SELECT ordinality - 1, title, category, price, body, v::vector
         FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[]) WITH ORDINALITY AS p(title, category, price, body, v)`,
      [
        passages.map(({ title }) => title),
        passages.map(({ category }) => category),
        passages.map(({ price }) => price),
        passages.map(({ text }) => text),
        passages.map(({ vector }) => `[${vector.join(',')}]`),
      ],
    );
    // The n within makes it another one for each row.
    await client.query(
      `INSERT INTO noise SELECT n, l2_normalize((SELECT array_agg(random_normal() + g + n - g - n) FROM generate_series(1, ${dimensions}) g)::vector)
         FROM generate_series(0, 1999) n`,
    );
    for (const [tenant, chunks] of shares)
      await client.query(fillSql(table, dimensions), [tenant, chunks, passages.length]);
  } finally {
    client.release();
  }
}

/** Then the index is built, and the planner told: as a table is after some days. */
export async function index(owner: pg.Pool, kind: string): Promise<number> {
  const from = performance.now();
  const client = await owner.connect();
  try {
    await client.query("SET maintenance_work_mem = '512MB'");
    await client.query('SELECT chat.ensure_indexes($1, false)', [kind]);
    const ms = performance.now() - from;
    await client.query('VACUUM ANALYZE');
    return ms;
  } finally {
    client.release();
  }
}

const fillSql = (table: string, dimensions: number) => `
  WITH row AS MATERIALIZED (
    SELECT n, uuidv7() AS id, uuidv7() AS source_id, p.*, (random() * ($3::int - 1))::int AS one, (random() * 1999)::int AS other
      FROM generate_series(0, $2::int - 1) n JOIN (SELECT n AS at, title, category, price, body, v FROM passage) p ON p.at = n % $3::int),
  source AS (
    INSERT INTO chat.source (tenant_id, id, kind, version, title, source, changed_at, indexed_at)
    SELECT $1::uuid, source_id, 'menu', 1, title, '/bench', now() - random() * interval '400 days', now() FROM row),
  chunk AS (
    INSERT INTO chat.chunk (id, tenant_id, source_id, kind, ordinal, header, text, content_hash, tokens, category, tags, price,
                            currency, available, promoted, source_changed_at)
    SELECT id, $1::uuid, source_id, 'menu', 0, title, body, md5(body), 40, category, CASE WHEN random() < 0.2 THEN ARRAY['vegan'] ELSE '{}' END,
           price, 'EUR', random() < 0.95, random() < 0.05, now() - random() * interval '400 days' FROM row)
  INSERT INTO chat.${table} (chunk_id, tenant_id, content_hash, embedding)
  SELECT row.id, $1::uuid, md5(row.body),
         CASE WHEN row.n < $3::int THEN row.v ELSE
           l2_normalize(row.v + (SELECT a.v * array_fill(0.5::real, ARRAY[${dimensions}])::vector FROM passage a WHERE a.n = row.one)
                              + (SELECT b.v * array_fill(0.33::real, ARRAY[${dimensions}])::vector FROM noise b WHERE b.n = row.other))
         END::halfvec(${dimensions})
    FROM row`;
