/** Which embedding models are in use, and this process's way to ask them. */
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { UnavailableError } from '@ragline/streams/errors';
import type { Embedder } from '../embedding/embedder.ts';
import { embeddingStore } from '../embedding/store.ts';

/** `others` are filled beside the active one: the next, and the one before. */
export type ModelsInUse = { active: Embedder; others: Embedder[] };

export type Models = ReturnType<typeof createModels>;

type Embedders = { of(id: string): Embedder | undefined };

// A switch is seen by every instance within this time.
const readEveryMs = 1_000;

export function createModels({ pool, embedders, log }: { pool: Pool; embedders: Embedders; log: Logger }) {
  let read: { at: number; models: Promise<ModelsInUse> } | undefined;
  const reported = new Set<string>();

  async function inUse(): Promise<ModelsInUse> {
    const registered = (await embeddingStore.models(pool)).filter(({ state }) => state !== 'retired');
    const active = registered.find(({ state }) => state === 'active');
    const embedder = active && embedders.of(active.id);
    if (embedder === undefined) {
      throw new UnavailableError(
        `The active embedding model ${active?.id} is not set up here: see EMBEDDING_PROVIDER`,
      );
    }
    const others = registered.filter(({ state }) => state !== 'active').flatMap(({ id }) => known(id) ?? []);
    return { active: embedder, others };
  }

  function known(id: string): Embedder | undefined {
    const embedder = embedders.of(id);
    if (embedder === undefined && !reported.has(id)) {
      reported.add(id);
      log.warn('embedding model is not set up here, others fill it', { model: id });
    }
    return embedder;
  }

  return {
    /** A second old at most. Throws UnavailableError when this process cannot ask the active one. */
    inUse(): Promise<ModelsInUse> {
      const now = performance.now();
      if (read === undefined || now - read.at > readEveryMs) {
        const models = inUse();
        read = { at: now, models };
        models.catch(() => {
          read = undefined;
        });
      }
      return read.models;
    },

    /** Whether this process can ask the model. */
    embedderOf: embedders.of,
  };
}
