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
  WEBHOOK_KEYS: '1:yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy',
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

  it('let no webhook reach this machine in production, and name what is wrong with keys, not the keys', () => {
    const env = { ...settings, WEBHOOK_ALLOW_LOOPBACK: 'on' };
    assert.equal(readConfig(env).webhooks.allowLoopback, true);
    assert.throws(() => readConfig({ ...env, RAGLINE_ENV: 'production' }), /WEBHOOK_ALLOW_LOOPBACK/);
    for (const keys of ['short', '1:short', `1:${'x'.repeat(32)},1:${'y'.repeat(32)}`]) {
      assert.throws(
        () => readConfig({ ...settings, WEBHOOK_KEYS: keys }),
        (error: Error) => /WEBHOOK_KEYS/.test(error.message) && !error.message.includes(keys),
      );
    }
  });
});
