import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Principal } from './principal.ts';
import { createTokenCache } from './token-cache.ts';

describe('the cache of verified tokens', () => {
  it('forgets a token when it ends', () => {
    let now = 0;
    const cache = createTokenCache({ now: () => now });
    cache.set('a', principal(10));
    now = 9;
    assert.ok(cache.get('a'));
    now = 10;
    assert.equal(cache.get('a'), undefined);
    assert.equal(cache.size(), 0);
  });

  it('stays within its bound, and gives up the oldest', () => {
    const cache = createTokenCache({ entriesMax: 2, now: () => 0 });
    for (const token of ['a', 'b', 'c']) cache.set(token, principal(10));
    assert.equal(cache.size(), 2);
    assert.equal(cache.get('a'), undefined);
    assert.ok(cache.get('c'));
  });
});

function principal(expires_at: number): Principal {
  return {
    user_id: 'u',
    tenant_id: 't',
    roles: ['customer'],
    session_id: 's',
    token_id: 'j',
    issued_at: 0,
    expires_at,
  };
}
