import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import type { Product } from '@ragline/schemas/types.generated';
import { after, before, beforeEach, describe, it } from 'mocha';
import pg from 'pg';
import { usualLimits } from '../../../services/chat/src/knowledge/chunk.ts';
import {
  aProduct,
  documentEvent,
  type IndexScene,
  openIndex,
  productEvent,
  quietLog,
} from '../../../services/chat/src/knowledge/knowledge.support.ts';
import { startReindexing } from '../../../services/chat/src/knowledge/reindex.ts';
import { eventually } from '../../../tests/support/eventually.ts';
import { askAgain, buildIndexes, waitingOf } from './reindex.ts';

describe('ragline knowledge reindex', function () {
  this.timeout(60_000);
  let scene: IndexScene;
  let owner: pg.Client;
  let tenant_id: string;
  let product: Product;

  before(async () => {
    scene = await openIndex();
    owner = new pg.Client({ connectionString: scene.url });
    await owner.connect();
  });
  after(async () => {
    await owner?.end();
    await scene?.close();
  });
  beforeEach(async () => {
    tenant_id = randomUUIDv7();
    product = aProduct({ tenant_id });
    await keepProduct(product);
    await scene.index(productEvent(product));
  });

  async function keepProduct({ id, name, description, category, tags, price, attributes, version }: Product) {
    await owner.query(
      `INSERT INTO orders.product (tenant_id, id, name, description, category, tags, price, currency, attributes, version,
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'EUR', $8, $9, now(), now())
       ON CONFLICT (tenant_id, id) DO UPDATE SET price = excluded.price, version = excluded.version`,
      [tenant_id, id, name, description, category, tags, price, attributes, version],
    );
  }

  async function keepDocument(text: string): Promise<string> {
    const id = randomUUIDv7();
    await owner.query(
      `INSERT INTO chat.document (id, tenant_id, kind, title, media_type, source, body, content_hash, version, created_by, created_at,
         updated_at)
       VALUES ($1, $2, 'policy', 'Rules', 'text/markdown', '', $3, repeat('0', 64), 1, $1, now(), now())`,
      [id, tenant_id, text],
    );
    await scene.index(documentEvent({ id, tenant_id, kind: 'policy', title: 'Rules', text, version: 1 }));
    return id;
  }

  type Row = { source_id: string; ordinal: number; price: number | null; has_vector: boolean };
  const chunks = () =>
    scene.all<Row>(
      `SELECT c.source_id, c.ordinal, c.price, e.chunk_id IS NOT NULL AS has_vector FROM chat.chunk c
         LEFT JOIN chat.embedding_words e ON e.chunk_id = c.id AND e.content_hash = c.content_hash
        WHERE c.tenant_id = $1 ORDER BY c.source_id, c.ordinal`,
      [tenant_id],
    );

  async function workedOff(changes: Parameters<IndexScene['indexWith']>[0] = {}): Promise<void> {
    const reindexing = startReindexing({
      ...{ pool: scene.pool, index: scene.indexWith(changes), log: quietLog, everyMs: 20 },
    });
    try {
      await eventually(async () => assert.equal((await waitingOf(owner, tenant_id)).waiting, 0));
    } finally {
      await reindexing.stop();
    }
  }

  it('brings back a lost index from the rows of products and documents', async () => {
    await keepDocument('No dogs.');
    const before = await chunks();
    assert.equal(before.length, 2);
    await owner.query('DELETE FROM chat.source WHERE tenant_id = $1', [tenant_id]);
    assert.deepEqual(await chunks(), []);
    assert.equal(await askAgain(owner, tenant_id), 2);
    await workedOff();
    assert.deepEqual(await chunks(), before);
    assert.ok(before.every(({ has_vector }) => has_vector));
  });

  it('cuts again by other limits, and embeds only what has become another passage', async () => {
    const sentences = Array.from({ length: 40 }, (_, nth) => `Rule ${nth} says a thing or two about dogs.`);
    const id = await keepDocument(sentences.join(' '));
    const long = (await chunks()).filter(({ source_id }) => source_id === id).length;
    const asked = scene.embedder.asked();
    await askAgain(owner, tenant_id);
    await workedOff();
    assert.equal(scene.embedder.asked(), asked, 'nothing was another');
    await askAgain(owner, tenant_id);
    await workedOff({ limits: { ...usualLimits, policy: 64 } });
    const short = (await chunks()).filter(({ source_id }) => source_id === id).length;
    assert.ok(short > long);
  });

  it('never goes back behind a change that came meanwhile', async () => {
    await askAgain(owner, tenant_id);
    await scene.index(productEvent({ ...product, price: 990, version: 2 }));
    await workedOff();
    assert.deepEqual(
      (await chunks()).map(({ price }) => price),
      [990],
    );
    await askAgain(owner, tenant_id);
    await scene.index(productEvent({ ...product, version: 3 }, 'product_deleted'));
    await workedOff();
    assert.deepEqual(await chunks(), []);
  });

  it('takes out what is nowhere but in the index, and what was deleted without its knowing', async () => {
    await scene.index(productEvent(aProduct({ tenant_id })));
    await owner.query('UPDATE orders.product SET deleted_at = now(), version = 2 WHERE tenant_id = $1', [
      tenant_id,
    ]);
    assert.equal((await chunks()).length, 2);
    assert.equal(await askAgain(owner, tenant_id), 2);
    await workedOff();
    assert.deepEqual(await chunks(), []);
    assert.equal(await askAgain(owner, tenant_id), 0);
  });

  it('goes on with the others when one cannot be read, and tells of that one', async () => {
    await owner.query(
      `INSERT INTO chat.reindex_item (tenant_id, id, version, product, changed_at, attempts)
       VALUES ($1, $2, 1, '{"name": 1}', now(), 4)`,
      [tenant_id, randomUUIDv7()],
    );
    await owner.query('DELETE FROM chat.source WHERE tenant_id = $1', [tenant_id]);
    await askAgain(owner, tenant_id);
    await workedOff();
    assert.equal((await chunks()).length, 1);
    await owner.query("UPDATE chat.reindex_item SET leased_until = '-infinity' WHERE tenant_id = $1", [
      tenant_id,
    ]);
    assert.deepEqual(await waitingOf(owner, tenant_id), { waiting: 0, failed: 1 });
  });

  it('builds the index of vectors anew under its name, also after a build that was cut off', async () => {
    const indexes = async () =>
      (
        await owner.query<{ name: string }>(
          "SELECT indexname AS name FROM pg_indexes WHERE indexname ~ '^embedding_words_(hnsw|ivf)' ORDER BY 1",
        )
      ).rows.map(({ name }) => name);
    await owner.query('CREATE INDEX embedding_words_ivfflat_new ON chat.embedding_words (chunk_id)');
    await buildIndexes(owner, 'ivfflat');
    assert.deepEqual(await indexes(), ['embedding_words_ivfflat']);
    await buildIndexes(owner, 'hnsw');
    assert.deepEqual(await indexes(), ['embedding_words_hnsw']);
  });
});
