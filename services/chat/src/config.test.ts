import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { readConfig } from './config.ts';

describe('the settings of the chat service', () => {
  const url = 'http://127.0.0.1:1';
  const needed = {
    DATABASE_URL: 'postgres://u:p@127.0.0.1/d',
    KAFKA_BROKERS: '127.0.0.1:1',
    SCHEMA_REGISTRY_URL: url,
    JWKS_URL: url,
    IDENTITY_URL: url,
    ORDERS_URLS: url,
    DELEGATION_SECRET: 'a-secret-of-tests-that-is-long-enough',
    CURSOR_KEYS: 'a-secret-of-tests-that-is-long-enough',
    EMBEDDING_MODEL_DIR: '/tmp',
  };

  it('limit the tokens of a day where they cost something, or where it is asked for', () => {
    assert.deepEqual(readConfig(needed).budgets, { tenantTokens: 0, userTokens: 0 });
    const paid = readConfig({ ...needed, OPENAI_API_KEY: 'key' }).budgets;
    assert.ok(paid.tenantTokens > 0 && paid.userTokens > 0);
    assert.equal(readConfig({ ...needed, BUDGET_USER_TOKENS: '5' }).budgets.userTokens, 5);
  });
});
