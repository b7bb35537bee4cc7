/** What must be there before the first search: a model that is active, and the indexes of the settings. */
import { inTransaction, type Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { EmbeddingModel } from './embedder.ts';
import { embeddingStore } from './store.ts';

export type PrepareOptions = {
  pool: Pool;
  /** Registered, and made active when no other is. */
  model: EmbeddingModel;
  /** Of all models; the same on every instance. */
  index: 'hnsw' | 'ivfflat';
  metadataIndex: 'none' | 'gin';
  log: Logger;
};

/** Safe to call again, and by several instances at once. An index that is missing is built here, however long it takes. */
export async function prepareModels({
  pool,
  model,
  index,
  metadataIndex,
  log,
}: PrepareOptions): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query('SET LOCAL statement_timeout = 0');
    await client.query('SET LOCAL lock_timeout = 0');
    await embeddingStore.register(client, model);
    const models = await embeddingStore.models(client);
    if (models.every(({ state }) => state !== 'active')) {
      await embeddingStore.activate(client, model.id);
      log.info('embedding model is active', { model: model.id });
    }
    await client.query('SELECT chat.ensure_indexes($1, $2)', [index, metadataIndex === 'gin']);
  });
}
