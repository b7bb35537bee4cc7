import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import type { CatalogEvent } from '@ragline/schemas/types.generated';
import { type Running, startConsumer } from '@ragline/streams/consumer';
import { openScene } from '@ragline/streams/testing';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { startFilling } from './fill.ts';
import { aProduct, type IndexScene, openIndex, productEvent, quietLog } from './knowledge.support.ts';

describe('the group chat-index on Kafka', function () {
  this.timeout(60_000);
  let index: IndexScene;
  before(async () => {
    index = await openIndex();
  });
  after(() => index?.close());

  it('ends with the last version of every product, none doubled or back from the dead, while instances come and go', async () => {
    const scene = await openScene({ partitions: 3 });
    const started: Running[] = [];
    // A batch embeds the first of its new chunks alone, and leaves the rest to this.
    const filling = startFilling({
      pool: index.pool,
      models: { inUse: async () => ({ active: index.embedder, others: [] }) },
      log: quietLog,
      metrics: index.metrics,
    });
    try {
      const encode = await scene.codec.encoder('catalog_v1');
      const start = async () => {
        const running = await startConsumer({
          kafka: scene.kafka,
          groupId: scene.groupId,
          topics: [{ name: scene.topic, schema: 'catalog_v1' }],
          order: 'by-key',
          codec: scene.codec,
          handleBatch: index.indexWith({ onMissing: () => filling.wake() }),
          pool: index.pool,
          producer: scene.producer,
          log: quietLog,
          metrics: index.metrics,
          batchMax: 20,
          concurrency: 2,
        });
        started.push(running);
        return running;
      };
      const tenant_id = randomUUIDv7();
      const products = Array.from({ length: 60 }, (_, number) =>
        aProduct({ tenant_id, name: `Dish ${number}` }),
      );
      const send = (version: number, type: 'product_changed' | 'product_deleted' = 'product_changed') =>
        scene.producer.send(
          scene.topic,
          products
            // Every third is deleted in the end.
            .filter((_, number) => type === 'product_changed' || number % 3 === 0)
            .map((product) => recordOf(productEvent({ ...product, version, price: version * 100 }, type))),
        );
      const recordOf = (event: CatalogEvent) => ({
        key: event.product?.id ?? '',
        value: encode(event),
        headers: { id: event.event_id, event_type: event.event_type, tenant_id, user_id: event.actor_id },
      });

      const first = await start();
      await send(1);
      const [second] = await Promise.all([start(), send(2)]);
      await Promise.all([first.stop(), send(3)]);
      await Promise.all([start(), send(4)]);
      await Promise.all([second.stop(), send(5, 'product_deleted')]);

      const kept = products.filter((_, number) => number % 3 !== 0);
      await eventually(
        async () => {
          const chunks = await index.all<{ source_id: string; price: number; has_vector: boolean }>(
            `SELECT c.source_id, c.price, e.chunk_id IS NOT NULL AS has_vector
               FROM chat.chunk c LEFT JOIN chat.embedding_words e ON e.chunk_id = c.id AND e.content_hash = c.content_hash
              WHERE c.tenant_id = $1 ORDER BY c.source_id`,
            [tenant_id],
          );
          assert.deepEqual(
            chunks.map(({ source_id, price, has_vector }) => [source_id, price, has_vector]),
            kept.map(({ id }) => [id, 400, true]).sort(),
          );
        },
        { withinMs: 40_000 },
      );
      const [{ vectors } = { vectors: 0 }] = await index.all<{ vectors: number }>(
        'SELECT count(*) AS vectors FROM chat.embedding_words WHERE tenant_id = $1',
        [tenant_id],
      );
      assert.equal(vectors, kept.length);
    } finally {
      for (const running of started) await running.stop();
      await filling.stop();
      await scene.close();
    }
  });
});
