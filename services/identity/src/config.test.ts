import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { configFaults, readConfig } from './config.ts';

const needed = {
  DATABASE_URL: 'postgres://ragline_identity:x@127.0.0.1/ragline',
  SCHEMA_REGISTRY_URL: 'http://127.0.0.1:8081',
  KEY_ENCRYPTION_SECRET: 'x'.repeat(32),
};

describe('settings of identity', () => {
  it('have a default for all but database, registry and secret', () => {
    assert.deepEqual(configFaults(readConfig(needed)), []);
    assert.throws(() => readConfig({}), /DATABASE_URL[\s\S]*SCHEMA_REGISTRY_URL[\s\S]*KEY_ENCRYPTION_SECRET/);
  });

  it('refuse a secret that can be guessed, without showing it', () => {
    const [fault = ''] = configFaults(readConfig({ ...needed, KEY_ENCRYPTION_SECRET: 'too-short' }));
    assert.match(fault, /at least 32/);
    assert.doesNotMatch(fault, /too-short/);
    const [another = ''] = configFaults(readConfig({ ...needed, DELEGATION_SECRET: 'short-too' }));
    assert.match(another, /DELEGATION_SECRET.*at least 32/);
    assert.doesNotMatch(another, /short-too/);
  });

  it('refuse a next key that would sign before every instance has read it', () => {
    const config = readConfig({ ...needed, SIGNING_KEY_LEAD_MS: '1000', SIGNING_KEY_REFRESH_MS: '900' });
    assert.match(configFaults(config).join(), /SIGNING_KEY_LEAD_MS/);
  });
});
