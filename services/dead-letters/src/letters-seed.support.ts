/** For tests and measurements: many letters at once, as unevenly spread as real ones. */
import { randomUUIDv7 } from 'node:crypto';
import type pg from 'pg';

const atOnce = 20_000;
const tenantsMany = 20;

/**
 * Writes letters of half a year, one every so often until 22 November 2026, past the triggers: 80 % are resolved, one
 * group has nearly all, some values only the oldest have. Gives the tenants, of which the first has most.
 */
export async function seedLetters(owner: pg.Pool, many: number): Promise<string[]> {
  const tenants = Array.from({ length: tenantsMany }, () => randomUUIDv7());
  const client = await owner.connect();
  try {
    // Sums are not what this is about, and rows are made faster without.
    await client.query("SET session_replication_role = 'replica'");
    for (let from = 0; from < many; from += atOnce) {
      await client.query(insertSql, [from, Math.min(from + atOnce, many) - 1, many, tenants]);
    }
    await client.query(wordsSql);
    await client.query("SELECT gin_clean_pending_list('dead_letters.letter_words_gin')");
    await client.query('VACUUM ANALYZE dead_letters.letter, dead_letters.letter_words');
  } finally {
    client.release(true);
  }
  return tenants;
}

const insertSql = `
  INSERT INTO dead_letters.letter
    (id, state, group_id, topic, partition, "offset", key, tenant_id, event_id, event_type, schema_id, value, decoded, headers,
     source, dlq_topic, dlq_partition, dlq_offset, error_code, error_class, error_message, fingerprint, fingerprint_parts,
     attempts, first_failed_at, failed_at, kept_at, updated_at)
  SELECT overlay(overlay(gen_random_uuid()::text PLACING ms FROM 1 FOR 13) PLACING '7' FROM 15 FOR 1)::uuid, state, group_id, topic, n % 12, n,
         convert_to('key-' || n % 20000, 'UTF8'),
         CASE WHEN n % 50 = 0 THEN NULL ELSE ($4::uuid[])[1 + floor(20 * power(random(), 3))::int] END,
         'event-' || n, 'order_created', 1, convert_to(repeat(md5(n::text), 12), 'UTF8'),
         json_build_object('order', n, 'text', repeat(md5(n::text), 4)), '{"id": {"t": "x"}, "traceparent": {"t": "y"}}',
         'ragline', group_id || '.dlq', n % 12, n, 'code-' || floor(20 * power(random(), 2))::int, 'TypeError',
         'timeout ' || n, '1-' || floor(300 * power(random(), 2))::int, '{}', 5, at, at, at, at
    FROM (
      SELECT n, at, regexp_replace(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), '(.{8})(.{4})', '\\1-\\2') AS ms,
             CASE WHEN r < 0.80 THEN 'resolved' WHEN r < 0.95 THEN 'waiting' WHEN r < 0.999 THEN 'discarded' ELSE 'replaying' END AS state,
             CASE WHEN n < $3 / 100 AND n % 3 = 0 THEN 'group-old' WHEN n % 20 = 0 THEN 'group-1' ELSE 'group-0' END AS group_id,
             CASE WHEN n < $3 / 100 AND n % 5 = 0 THEN 'topic-old' ELSE 'topic-' || n % 7 END AS topic
        FROM (SELECT n, random() AS r, timestamptz '2026-11-22T00:00:00Z' - ($3::int - n) * (interval '180 days' / $3::int) AS at
                FROM generate_series($1::int, $2::int) AS n) a) b`;

const wordsSql = `
  INSERT INTO dead_letters.letter_words (letter_id, tenant_id, words)
  SELECT id, tenant_id, array_to_tsvector(ARRAY['timeout', event_id, 'n' || "offset" % 1000,
                                                CASE WHEN "offset" = 4711 THEN 'needle-in-the-hay' ELSE 'hay' END])
    FROM dead_letters.letter`;
