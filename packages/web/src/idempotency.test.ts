import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { hashRequest, type IdempotencyResult, type IdempotencyStore, idempotent } from './idempotency.ts';
import { Problem } from './problems.ts';

const principal = { tenant_id: 't', user_id: 'u' };
const answer = { status: 201, headers: { location: '/x' }, body: { id: 'x' } };

describe('an idempotent POST', () => {
  it('answers as its effect says, the first time', async () => {
    assert.deepEqual(await post({ state: 'first', answer }), answer);
  });

  it('says so when the answer is a replay', async () => {
    assert.deepEqual(await post({ state: 'replayed', answer }), {
      ...answer,
      headers: { location: '/x', 'idempotent-replayed': 'true' },
    });
  });

  for (const [state, code] of [
    ['reused', 'idempotency_key_reused'],
    ['in_progress', 'request_in_progress'],
  ] as const) {
    it(`whose key is ${state} is a problem ${code}`, async () => {
      await assert.rejects(post({ state }), (error) => error instanceof Problem && error.code === code);
    });
  }
});

describe('the hash of a request', () => {
  it('does not depend on the order of fields', () => {
    assert.equal(
      hashRequest('POST', '/v1/x', { a: 1, b: { c: 2, d: 3 } }),
      hashRequest('POST', '/v1/x', { b: { d: 3, c: 2 }, a: 1 }),
    );
  });

  it('depends on everything else', () => {
    const hashes = [
      hashRequest('POST', '/v1/x', { a: 1 }),
      hashRequest('POST', '/v1/y', { a: 1 }),
      hashRequest('PUT', '/v1/x', { a: 1 }),
      hashRequest('POST', '/v1/x', { a: '1' }),
      hashRequest('POST', '/v1/x', { a: [1] }),
      hashRequest('POST', '/v1/x', [{ a: 1 }]),
      hashRequest('POST', '/v1/x', undefined),
    ];
    assert.equal(new Set(hashes).size, hashes.length);
  });
});

function post(result: IdempotencyResult) {
  const store: IdempotencyStore<undefined> = { once: async () => result };
  return idempotent({ store, principal, key: 'k', requestHash: 'h' }, async () => answer);
}
