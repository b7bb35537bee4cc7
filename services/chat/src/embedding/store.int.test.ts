import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { inTenant, inTransaction } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { claimChunks } from '../knowledge/claims.ts';
import { log, startWorld, type World } from '../retrieval/retrieval.support.ts';
import { prepareModels } from './prepare.ts';
import { embeddingStore } from './store.ts';
import { createWordEmbedder } from './testing.ts';

describe('models and their vectors in Postgres', function () {
  this.timeout(60_000);
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world?.stop());

  const green = createWordEmbedder({ id: 'green:words', dimensions: 32 }).model;
  const states = async () =>
    Object.fromEntries((await embeddingStore.models(world.pool)).map(({ id, state }) => [id, state]));

  it('fills another model beside the active one, switches to it and back', async () => {
    const tenant_id = randomUUID();
    await world.add([{ tenant_id, title: 'tea', text: 'tea' }]);
    const { pool, embedder } = world;
    await inTransaction(pool, (client) => embeddingStore.register(client, green));
    assert.deepEqual(await states(), { words: 'active', 'green:words': 'filling' });

    const missing = await inTenant(pool, tenant_id, (client) => embeddingStore.missing(client, green.id, 10));
    assert.deepEqual(
      missing.map(({ text }) => text),
      ['tea'],
    );
    const greenEmbedder = createWordEmbedder(green);
    const rows = await Promise.all(
      missing.map(async ({ id, content_hash, text }) => {
        const [embedding = new Float32Array()] = await greenEmbedder.embed([text]);
        return { chunk_id: id, content_hash, embedding };
      }),
    );
    const written = await inTenant(pool, tenant_id, (client) =>
      embeddingStore.upsert(client, green.id, rows),
    );
    assert.equal(written, 1);

    assert.ok(await inTransaction(pool, (client) => embeddingStore.activate(client, green.id)));
    assert.deepEqual(await states(), { words: 'filling', 'green:words': 'active' });
    const found = await world.retriever({ embedder: greenEmbedder }).retrieve({ tenant_id, query: 'tea' });
    assert.deepEqual(
      found.chunks.map(({ title }) => title),
      ['tea'],
    );

    assert.ok(await inTransaction(pool, (client) => embeddingStore.activate(client, embedder.model.id)));
    assert.deepEqual(await states(), { words: 'active', 'green:words': 'filling' });
    assert.equal((await world.retriever().retrieve({ tenant_id, query: 'tea' })).chunks.length, 1);
  });

  it('keeps models apart whose ids begin alike, or differ in signs alone', async () => {
    const { model } = createWordEmbedder();
    const of = (layers: number, dimensions: number) =>
      `openai:sentence-transformers/all-MiniLM-L${layers}-v2:${dimensions}`;
    const ids = [of(6, 384), of(12, 384), of(12, 768), 'a:b', 'A:b', 'a_b'];
    const tables = new Set<string>();
    for (const id of ids) {
      tables.add(await embeddingStore.register(world.pool, { ...model, id, version: id }));
    }
    assert.equal(tables.size, ids.length);
    for (const id of ids) await world.owner.query('DELETE FROM chat.embedding_model WHERE id = $1', [id]);
    for (const table of tables) await world.owner.query(`DROP TABLE chat."${table}"`);
  });

  it("names each tenant's newest chunks first, and none that somebody has claimed", async () => {
    const [heap, other] = [randomUUID(), randomUUID()];
    const model = createWordEmbedder({ id: 'fair' }).model;
    const many = await world.add(
      Array.from({ length: 50 }, (_, n) => ({ tenant_id: heap, text: `tea ${n}` })),
    );
    const [one] = await world.add([{ tenant_id: other, text: 'the last' }]);
    await embeddingStore.register(world.pool, model);
    await inTransaction(world.pool, async (client) => {
      await client.query("SELECT set_config('ragline.scope', 'operator', true)");
      const missing = await embeddingStore.missing(client, model.id, 10);
      assert.ok(missing.some(({ id }) => id === one));
      assert.ok(missing.some(({ id }) => id === many.toSorted().at(-1)));
      const claimed = await claimChunks(client, model.id, missing, { batchSize: 5, leaseMs: 60_000 });
      assert.deepEqual(claimed, missing.slice(0, 5));
      const next = await embeddingStore.missing(client, model.id, 10);
      assert.ok(next.every(({ id }) => !claimed.some((it) => it.id === id)));
    });
  });

  it('leaves out the vector of a text that the chunk no longer has', async () => {
    const tenant_id = randomUUID();
    const [chunk_id = ''] = await world.add([{ tenant_id, text: 'tea' }]);
    const [embedding = new Float32Array()] = await world.embedder.embed(['coffee']);
    const late = [{ chunk_id, content_hash: 'of another text', embedding }];
    const written = await inTenant(world.pool, tenant_id, (client) =>
      embeddingStore.upsert(client, 'words', late),
    );
    assert.equal(written, 0);
  });

  it("writes no vector to another tenant's chunk", async () => {
    const [mine, others] = [randomUUID(), randomUUID()];
    const [chunk_id = ''] = await world.add([{ tenant_id: others, text: 'tea' }]);
    const { rows } = await world.owner.query<{ content_hash: string }>(
      'SELECT content_hash FROM chat.chunk WHERE id = $1',
      [chunk_id],
    );
    const [embedding = new Float32Array()] = await world.embedder.embed(['coffee']);
    const vectors = [{ chunk_id, content_hash: rows[0]?.content_hash ?? '', embedding }];
    assert.equal(
      await inTenant(world.pool, mine, (client) => embeddingStore.upsert(client, 'words', vectors)),
      0,
    );
  });

  it('refuses another version under the same id, and is prepared as often as one likes', async () => {
    const { pool } = world;
    await Promise.all(
      [1, 2, 3].map(() =>
        prepareModels({ pool, model: world.embedder.model, index: 'hnsw', metadataIndex: 'none', log }),
      ),
    );
    const other = { ...world.embedder.model, version: '2' };
    await assert.rejects(
      inTransaction(pool, (client) => embeddingStore.register(client, other)),
      /is registered as version 1/,
    );
  });

  it('changes to another index, and back', async () => {
    const { pool, embedder } = world;
    const indexes = async () =>
      (
        await world.owner.query<{ name: string }>(
          "SELECT indexname AS name FROM pg_indexes WHERE indexname ~ '^(embedding_words_(hnsw|ivf)|chunk_meta)' ORDER BY 1",
        )
      ).rows.map(({ name }) => name);
    const asIvfflat = { pool, model: embedder.model, index: 'ivfflat', metadataIndex: 'gin', log } as const;
    // Its lists are trained by the rows that are there: with few of them it would find little ever after.
    await prepareModels(asIvfflat);
    assert.deepEqual(await indexes(), ['chunk_metadata', 'embedding_words_hnsw']);
    const tenant_id = randomUUID();
    // Rows are quicker to write without it.
    await world.owner.query('DROP INDEX chat.embedding_words_hnsw');
    await world.add(Array.from({ length: 3_000 }, (_, nth) => ({ tenant_id, text: `juice ${nth}` })));
    await prepareModels(asIvfflat);
    assert.deepEqual(await indexes(), ['chunk_metadata', 'embedding_words_ivfflat']);
    await world.add([{ tenant_id, text: 'tea', tags: ['hot'] }]);
    const found = await world
      .retriever({ settings: { exactMax: 0, index: 'ivfflat' } })
      .retrieve({ tenant_id, query: 'tea' });
    assert.equal(found.chunks[0]?.text, 'tea');
    await prepareModels({ pool, model: embedder.model, index: 'hnsw', metadataIndex: 'none', log });
    assert.deepEqual(await indexes(), ['embedding_words_hnsw']);
  });
});
