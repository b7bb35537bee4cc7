import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { productionFaults } from './settings.ts';

const outsideParts = {
  DATABASE_URL: 'postgres://db/ragline',
  KAFKA_BROKERS: 'kafka:9092',
  SCHEMA_REGISTRY_URL: 'http://registry/apis/ccompat/v7',
  CONNECT_URL: 'http://connect:8083',
  REDIS_URL: 'redis://cache',
};
const ownSecrets = {
  KEY_ENCRYPTION_SECRET: 'x'.repeat(32),
  CURSOR_KEYS: '1:xxxxxxxxxxxxxxxx',
  QUOTE_SECRET: 'y'.repeat(32),
  DELEGATION_SECRET: 'z'.repeat(32),
  WEBHOOK_KEYS: `1:${'w'.repeat(32)}`,
};

describe('settings of a start', () => {
  it('may be none in development', () => {
    assert.deepEqual(productionFaults({}), []);
  });

  it('must name every part and secret in production, and are told all at once', () => {
    const faults = productionFaults({ RAGLINE_ENV: 'production' });
    for (const word of [
      'postgres',
      'kafka',
      'registry',
      'connect',
      'valkey',
      'KEY_ENCRYPTION_SECRET',
      'CURSOR_KEYS',
      'QUOTE_SECRET',
      'DELEGATION_SECRET',
      'WEBHOOK_KEYS',
    ]) {
      assert.ok(
        faults.some((fault) => fault.includes(word)),
        word,
      );
    }
  });

  it('are enough in production when parts and secrets are all from outside', () => {
    assert.deepEqual(productionFaults({ RAGLINE_ENV: 'production', ...outsideParts, ...ownSecrets }), []);
  });

  it('may bring no sample users to production', () => {
    const env = { RAGLINE_ENV: 'production', ...outsideParts, ...ownSecrets, RAGLINE_DEMO_PASSWORD: 'tulip' };
    assert.match(productionFaults(env).join(), /sample users/);
  });

  it('may let no record name its own failure in production', () => {
    const env = { RAGLINE_ENV: 'production', ...outsideParts, ...ownSecrets, RAGLINE_FAILPOINTS: 'on' };
    assert.match(productionFaults(env).join(), /failpoints are refused/);
  });
});
