import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { loginOf } from './tail-client.ts';

describe('the login of the tail', () => {
  const who = { username: 'u', password: 'p' };

  it('uses the mechanism of the setting, like the groups', () => {
    assert.deepEqual(loginOf(who), { sasl: { mechanism: 'PLAIN', ...who } });
    for (const saslMechanism of ['scram-sha-256', 'SCRAM-SHA-512']) {
      const mechanism = saslMechanism.toUpperCase();
      assert.deepEqual(loginOf({ ...who, saslMechanism }), { sasl: { mechanism, ...who } });
    }
  });

  it('is none without a name or a password', () => {
    assert.deepEqual(loginOf({ saslMechanism: 'scram-sha-256' }), {});
    assert.deepEqual(loginOf({ username: 'u' }), {});
  });

  it('refuses a mechanism that it does not know', () => {
    assert.throws(() => loginOf({ ...who, saslMechanism: 'gssapi' }), TypeError);
  });
});
