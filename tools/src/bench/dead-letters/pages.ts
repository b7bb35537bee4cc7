/**
 * Pages of a table of a million letters, filter by filter, at a server with the service's own routes.
 *
 * It has a database of its own and no consumer: the group `dead-letters` is the running service's.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type pg from 'pg';
import { Client } from 'undici';
import { z } from 'zod';
import { line, percentile, round, tell } from '../../parts/numbers.ts';
import type { Settings } from '../../parts/settings.ts';
import { startServer } from '../parts/server.ts';
import { audience, issuer, startTokens } from '../parts/tokens.ts';
import { makeDatabase } from './kit.ts';

const script = join(import.meta.dirname, '../../../../services/dead-letters/bench/pages-server.ts');
const asked = 200;
const warmUp = 30;
const tenantsCount = 20;
const pageShape = z.object({
  data: z.array(z.object({ id: z.string(), key: z.string(), event_id: z.string(), fingerprint: z.string() })),
  next_cursor: z.string().nullable(),
});

export async function measurePages(settings: Settings, letters: number): Promise<void> {
  const database = await makeDatabase(settings);
  const tokens = await startTokens();
  try {
    const tenants = Array.from({ length: tenantsCount }, () => randomUUID());
    await fill(database.owner, letters, tenants);
    const server = await startServer({
      script,
      env: {
        DATABASE_URL: database.urlOf('ragline_dead_letters'),
        JWKS_URL: tokens.jwksUrl,
        TOKEN_ISSUER: issuer,
        TOKEN_AUDIENCE: audience,
      },
      readyPath: '/healthz',
    });
    try {
      const sign = (role: string) => tokens.sign({ tenantId: tenants[3] ?? '', userId: randomUUID(), role });
      const who = { operator: await sign('operator'), admin: await sign('admin') };
      await measure(server.origin, who, tenants[5] ?? '', letters);
    } finally {
      await server.stop();
    }
  } finally {
    await tokens.stop();
    await database.drop();
  }
}

async function measure(
  origin: string,
  tokens: Record<'operator' | 'admin', string>,
  tenant: string,
  letters: number,
): Promise<void> {
  const client = new Client(origin);
  const get = async (who: keyof typeof tokens, query: string) => {
    const at = performance.now();
    const headers = { authorization: `Bearer ${tokens[who]}` };
    const answer = await client.request({
      path: `/v1/dead-letters?limit=50${query}`,
      method: 'GET',
      headers,
    });
    const text = await answer.body.text();
    const ms = performance.now() - at;
    if (answer.statusCode !== 200)
      throw new Error(`${query} was answered with ${answer.statusCode}: ${text}`);
    return { ms, page: pageShape.parse(JSON.parse(text)) };
  };
  try {
    const { page } = await get('operator', '');
    const sample = page.data[7];
    if (sample === undefined) throw new Error('There are no letters');
    const day = 86_400_000;
    const at = (days: number) => encodeURIComponent(new Date(Date.now() - days * day).toISOString());
    const filters: [name: string, who: keyof typeof tokens, query: string][] = [
      ['none', 'operator', ''],
      ['state', 'operator', '&state=waiting'],
      ['state, rare', 'operator', '&state=replaying'],
      ['group', 'operator', '&group=bench-7'],
      ['topic', 'operator', '&topic=topic-3'],
      ['tenant', 'operator', `&tenant=${tenant}`],
      ['error_code', 'operator', '&error_code=code_5'],
      ['fingerprint', 'operator', `&fingerprint=${sample.fingerprint}`],
      ['key', 'operator', `&key=${sample.key}`],
      ['from, to', 'operator', `&from=${at(40)}&to=${at(35)}`],
      ['q: an id', 'operator', `&q=${sample.event_id}`],
      ['q: a frequent word', 'operator', '&q=refused'],
      ['group, state, error_code', 'operator', '&group=bench-7&state=waiting&error_code=code_7'],
      ['group, tenant, from', 'operator', `&group=bench-7&tenant=${tenant}&from=${at(20)}`],
      ["admin's own", 'admin', ''],
      ["admin's own, group", 'admin', '&group=bench-3'],
    ];
    const all: number[] = [];
    for (const [name, who, query] of filters) {
      const latencies: number[] = [];
      let cursor: string | null = null;
      for (let i = 0; i < warmUp + asked; i += 1) {
        // On through the pages, so that deep ones are among them.
        const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
        const { ms, page } = await get(who, query + more);
        cursor = page.next_cursor;
        if (i >= warmUp) latencies.push(ms);
      }
      all.push(...latencies);
      line({ bench: 'dead-letters', part: 'pages', filter: name, letters, ...figures(latencies) });
    }
    line({
      bench: 'dead-letters',
      part: 'pages',
      filter: 'all',
      letters,
      ...figures(all),
      wanted: 'p99 of each < 50 ms',
    });
  } finally {
    await client.close();
  }
}

function figures(latencies: readonly number[]) {
  const of = (share: number) => round(percentile(latencies, share), 2);
  return { pages: latencies.length, p50_ms: of(0.5), p99_ms: of(0.99), max_ms: of(1) };
}

/** Letters of 90 days, 20 tenants, 10 groups, 5 topics, 20 error codes, 500 fingerprints; the states as they are in use. */
async function fill(owner: pg.Pool, letters: number, tenants: readonly string[]): Promise<void> {
  const began = performance.now();
  const client = await owner.connect();
  try {
    // The sums are not what is measured, and a checkpoint a minute would be.
    await client.query("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'");
    await client.query('ALTER TABLE dead_letters.letter DISABLE TRIGGER USER');
    const { rows } = await client.query<{ def: string; name: string }>(
      `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS def FROM pg_index
        WHERE indrelid IN ('dead_letters.letter'::regclass, 'dead_letters.letter_words'::regclass) AND NOT indisunique`,
    );
    // Made after the rows, which is quicker than with them.
    for (const { name } of rows) await client.query(`DROP INDEX ${name}`);
    for (let at = 0; at < letters; at += 100_000) {
      await client.query(insertSql, [at, Math.min(letters, at + 100_000) - 1, letters, tenants]);
      tell(`pages: ${Math.min(letters, at + 100_000)} letters`);
    }
    await client.query(wordsSql);
    for (const { def } of rows) await client.query(def);
    await client.query('ALTER TABLE dead_letters.letter ENABLE TRIGGER USER');
    await client.query('VACUUM ANALYZE dead_letters.letter, dead_letters.letter_words');
    tell(`pages: ready after ${Math.round((performance.now() - began) / 1_000)} s`);
  } finally {
    client.release();
  }
}

const insertSql = `
  INSERT INTO dead_letters.letter
    (id, state, group_id, topic, partition, "offset", inbox_id, key, tenant_id, event_id, event_type, schema_id, value, decoded,
     headers, source, dlq_topic, dlq_partition, dlq_offset, original_timestamp, error_code, error_class, error_message,
     error_stack, fingerprint, fingerprint_parts, attempts, first_failed_at, failed_at, kept_at, updated_at)
  SELECT id, state, 'bench-' || n % 10, 'topic-' || n % 5, n % 12, n, event_id, convert_to(event_id, 'UTF8'),
         ($4::uuid[])[1 + n % 20], event_id, 'order_created', 1, decode(repeat('0a1b2c3d', 50), 'hex'),
         json_build_object('event_id', event_id, 'total', n), '{"event_type": {"t": "order_created"}}', 'ragline',
         'bench-' || n % 10 || '.dlq', n % 12, n, at, 'code_' || n % 20, 'Error', 'The order was refused: ' || n % 500,
         repeat('    at handle (file:///services/orders/src/consumer.ts:12:3)' || chr(10), 6), md5((n % 500)::text),
         '{"algorithm": 1, "group": "bench", "event_type": null, "error_class": "Error", "message": "", "frame": null}',
         5, at, at, at, at
    FROM (SELECT n, at, gen_random_uuid()::text AS event_id,
                 CASE WHEN n % 100 < 30 THEN 'waiting' WHEN n % 1000 = 999 THEN 'replaying'
                      WHEN n % 100 < 95 THEN 'resolved' ELSE 'discarded' END AS state,
                 (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
                  || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid AS id
            FROM (SELECT n, now() - interval '90 days' * (1 - n::float8 / $3) AS at
                    FROM generate_series($1::bigint, $2::bigint) AS n) AS moments) AS letters`;

const wordsSql = `
  INSERT INTO dead_letters.letter_words (letter_id, tenant_id, words)
  SELECT id, tenant_id, to_tsvector('simple', event_id || ' the order was refused ' || "offset" % 500) FROM dead_letters.letter`;
