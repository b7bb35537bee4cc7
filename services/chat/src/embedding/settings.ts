/** Settings of embeddings; the service's config.ts reads them with its own. */
import type { SettingsReader } from '@ragline/runtime/settings';

export type EmbeddingSettings = ReturnType<typeof readEmbeddingSettings>;

export function readEmbeddingSettings(env: SettingsReader) {
  return {
    /** Which model is searched by from the first start on; later the switch of models decides. */
    provider: env.choice('EMBEDDING_PROVIDER', ['local', 'openai'], 'local'),
    /** A folder with model.onnx and tokenizer.json; without it there is no local model. */
    modelFolder: env.optional('EMBEDDING_MODEL_DIR'),
    model: env.string('EMBEDDING_MODEL', 'text-embedding-3-small'),
    dimensions: env.integer('EMBEDDING_DIMENSIONS', 1_536, { min: 1, max: 4_000 }),
    maxTokens: env.integer('EMBEDDING_MAX_TOKENS', 8_191, { min: 16, max: 100_000 }),
    timeoutMs: env.integer('EMBEDDING_TIMEOUT_MS', 10_000, { min: 100, max: 600_000 }),
    apiKey: env.optional('OPENAI_API_KEY'),
    baseUrl: env.optional('OPENAI_BASE_URL') ?? env.optional('OPENAI_API_BASE'),
    /** How long a query's vector is kept; 0 keeps none. */
    queryCacheMs: env.integer('EMBEDDING_CACHE_MS', 3_600_000, { max: 86_400_000 }),
  };
}
