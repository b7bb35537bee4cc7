/** The models this process can ask, by the id under which their vectors are kept. */
import { existsSync } from 'node:fs';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Embedder } from './embedder.ts';
import { createMiniLm, minilm } from './minilm.ts';
import { createOpenAiEmbedder, openAiModelId } from './openai-embedder.ts';
import type { EmbeddingSettings } from './settings.ts';

export type Embedders = ReturnType<typeof createEmbedders>;

/** OpenAI's own address, when a key is set and no other address. */
const openAiUrl = 'https://api.openai.com/v1';

/**
 * The local model, loaded by the first who asks for it, and models of the endpoint that is set, by their ids.
 * Throws Error when the preferred one cannot be had.
 */
export function createEmbedders(settings: EmbeddingSettings, parts: { log: Logger; metrics: Metrics }) {
  const { provider, modelFolder, apiKey, baseUrl, maxTokens, timeoutMs } = settings;
  const made = new Map<string, Embedder>();

  function make(id: string): Embedder | undefined {
    if (id === minilm.id) {
      // Where another provider is preferred, the folder may be named and not be there: others fill it.
      const isThere = provider === 'local' || (modelFolder !== undefined && existsSync(modelFolder));
      if (modelFolder === undefined || !isThere) return undefined;
      return createMiniLm({ folder: modelFolder, log: parts.log });
    }
    const [, name, dimensions] = /^openai:(.+):(\d+)$/.exec(id) ?? [];
    const url = baseUrl ?? (apiKey === undefined ? undefined : openAiUrl);
    if (name === undefined || url === undefined) return undefined;
    const of = { name, dimensions: Number(dimensions), maxTokens, timeoutMs };
    // Endpoints without keys are asked with one that means nothing: the client wants one.
    return createOpenAiEmbedder({ ...of, baseUrl: url, apiKey: apiKey ?? 'none', metrics: parts.metrics });
  }

  /** The model with this id; undefined when this process is not set up for it. */
  function of(id: string): Embedder | undefined {
    const known = made.get(id);
    if (known !== undefined) return known;
    const embedder = make(id);
    if (embedder !== undefined) made.set(id, embedder);
    return embedder;
  }

  const wanted = provider === 'local' ? minilm.id : openAiModelId(settings.model, settings.dimensions);
  const preferred = of(wanted);
  if (preferred === undefined) {
    const missing = provider === 'local' ? 'EMBEDDING_MODEL_DIR' : 'OPENAI_API_KEY or OPENAI_BASE_URL';
    throw new Error(`EMBEDDING_PROVIDER is ${provider}, and ${missing} is not set`);
  }
  return {
    of,
    /** The model that is registered and made active when there is none yet. */
    preferred,
    async stop() {
      for (const embedder of made.values()) await embedder.stop();
    },
  };
}
