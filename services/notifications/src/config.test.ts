import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { readConfig } from './config.ts';

const settings = {
  DATABASE_URL: 'postgres://db/ragline',
  KAFKA_BROKERS: 'kafka:9092',
  SCHEMA_REGISTRY_URL: 'http://registry/apis/ccompat/v7',
  JWKS_URL: 'http://identity/.well-known/jwks.json',
  IDENTITY_URL: 'http://identity',
  CURSOR_KEYS: '1:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
};

describe('settings of notifications', () => {
  it('wait one, two, four minutes and an hour when nothing else is said', () => {
    assert.deepEqual(readConfig(settings).retryDelaysMs, [60_000, 120_000, 240_000, 3_600_000]);
  });

  it('have failpoints off unless they are asked for, and never in production', () => {
    assert.equal(readConfig(settings).failpoints, false);
    assert.equal(readConfig({ ...settings, RAGLINE_FAILPOINTS: 'on' }).failpoints, true);
    assert.throws(
      () => readConfig({ ...settings, RAGLINE_ENV: 'production', RAGLINE_FAILPOINTS: 'on' }),
      /RAGLINE_FAILPOINTS/,
    );
  });
});
