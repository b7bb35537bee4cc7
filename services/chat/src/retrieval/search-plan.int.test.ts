import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { inTransaction } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { vectorText } from '../embedding/store.ts';
import { startWorld, type World } from './retrieval.support.ts';

/** One kind in fifty is a policy, one chunk in a hundred is vegan. */
const chunksMany = 6_000;

describe('searching some thousands of chunks', function () {
  this.timeout(60_000);
  let world: World;
  const [large, small] = [randomUUID(), randomUUID()];

  before(async () => {
    world = await startWorld();
    await world.owner.query('SET maintenance_work_mem = 262144');
    await world.owner.query('DROP INDEX chat.embedding_words_hnsw');
    for (const [tenant, chunks] of [
      [large, chunksMany],
      [small, 200],
    ] as const)
      await fill(tenant, chunks);
    await world.owner.query("SELECT chat.ensure_indexes('hnsw', true)");
    await world.owner.query('ANALYZE');
  });
  after(() => world?.stop());

  it('goes along the index of vectors, as the plain role under its policies', async () => {
    assert.match(await planOf(large, 'index'), /Index Scan using embedding_words_hnsw/);
  });

  it('leaves that index where a filter lets little through', async () => {
    const plan = await planOf(large, 'index', { kinds: ['policy'] });
    assert.match(plan, /Index Scan (using|on) chunk_kind/);
    assert.doesNotMatch(plan, /hnsw/);
  });

  it("measures a tenant's own vectors alone, and no index gives up before them", async () => {
    const plan = await planOf(small, 'exact');
    assert.match(plan, /embedding_words_tenant_id_idx/);
    assert.doesNotMatch(plan, /hnsw|Seq Scan on (embedding_words|chunk|source)/);
  });

  it('asks the index of tags, which a plain role alone could not', async () => {
    assert.match(await planOf(large, 'tagged', { tags: ['vegan'] }), /Bitmap Index Scan on chunk_metadata/);
  });

  /** What Postgres did inside the function: EXPLAIN shows a function as one node, auto_explain what it runs. */
  async function planOf(tenant: string, path: string, filter: { kinds?: string[]; tags?: string[] } = {}) {
    const [vector = new Float32Array()] = await world.embedder.embed(['some words']);
    return inTransaction(world.owner, async (client) => {
      const plans: string[] = [];
      client.on('notice', ({ message }) => plans.push(message ?? ''));
      await client.query("LOAD 'auto_explain'");
      await client.query('SET LOCAL auto_explain.log_min_duration = 0');
      await client.query('SET LOCAL auto_explain.log_nested_statements = on');
      await client.query('SET LOCAL client_min_messages = log');
      await client.query('SET LOCAL ROLE ragline_chat');
      await client.query(
        'SELECT FROM chat.search_chunks($1, $2, $3::halfvec, $4, 32, 100, $5, NULL, NULL, NULL, NULL, $6, NULL)',
        [tenant, 'words', vectorText(vector), path, filter.kinds ?? null, filter.tags ?? null],
      );
      // What was asked is in it, too: only the nodes count.
      return plans
        .join('\n')
        .split('\n')
        .filter((line) => /->|Scan/.test(line) && !/WITH|SELECT/.test(line))
        .join('\n');
    });
  }

  async function fill(tenant: string, chunks: number): Promise<void> {
    await world.owner.query(
      `WITH row AS MATERIALIZED (SELECT n, uuidv7() AS id, uuidv7() AS source_id,
           CASE WHEN n % 50 = 0 THEN 'policy' ELSE 'menu' END AS kind FROM generate_series(1, $2::int) n),
         source AS (INSERT INTO chat.source (tenant_id, id, kind, version, title, source, changed_at, indexed_at)
           SELECT $1::uuid, source_id, kind, 1, 'A title', '/', now(), now() FROM row),
         chunk AS (INSERT INTO chat.chunk (id, tenant_id, source_id, kind, ordinal, header, text, content_hash, tokens, tags, source_changed_at)
           SELECT id, $1::uuid, source_id, kind, 0, '', 'A text', 'hash', 5, CASE WHEN n % 100 = 0 THEN '{vegan}'::text[] ELSE '{}' END, now()
             FROM row)
       INSERT INTO chat.embedding_words (chunk_id, tenant_id, content_hash, embedding)
       SELECT id, $1::uuid, 'hash', (SELECT array_agg(random_normal() + n - n + d - d) FROM generate_series(1, 64) d)::halfvec(64) FROM row`,
      [tenant, chunks],
    );
  }
});
