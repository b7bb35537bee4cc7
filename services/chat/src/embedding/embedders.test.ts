import assert from 'node:assert/strict';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import { describe, it } from 'mocha';
import { createEmbedders } from './embedders.ts';
import { readEmbeddingSettings } from './settings.ts';

describe('the embedders of a process', () => {
  const embeddersWith = (env: NodeJS.ProcessEnv) =>
    createEmbedders(readSettings(env, readEmbeddingSettings), {
      log: createLogger({ service: 'test', level: 'error' }),
      metrics: createMetrics({ service: 'test' }),
    });

  it('say what is not set for the preferred one', () => {
    assert.throws(() => embeddersWith({}), /EMBEDDING_PROVIDER is local, and EMBEDDING_MODEL_DIR is not set/);
    assert.throws(() => embeddersWith({ EMBEDDING_PROVIDER: 'openai' }), /OPENAI_API_KEY or OPENAI_BASE_URL/);
  });

  it('are those of the endpoint by name and size, each made once', async () => {
    const env = { EMBEDDING_PROVIDER: 'openai', OPENAI_API_BASE: 'http://127.0.0.1:1/v1' };
    const elsewhere = embeddersWith({ ...env, EMBEDDING_MODEL: 'bge', EMBEDDING_MODEL_DIR: '/nowhere' });
    assert.equal(elsewhere.of('minilm_l6_v2'), undefined);
    await elsewhere.stop();
    const embedders = embeddersWith({ ...env, EMBEDDING_MODEL: 'bge', EMBEDDING_DIMENSIONS: '8' });
    const { id, dimensions } = embedders.preferred.model;
    assert.deepEqual([id, dimensions], ['openai:bge:8', 8]);
    assert.equal(embedders.of('openai:bge:8'), embedders.preferred);
    assert.equal(embedders.of('openai:a/b:c:16')?.model.dimensions, 16);
    assert.equal(embedders.of('minilm_l6_v2'), undefined);
    assert.equal(embedders.of('something else'), undefined);
    await embedders.stop();
  });
});
