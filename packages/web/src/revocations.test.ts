import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createRevocations, type Revocation, revocationFrom } from './revocations.ts';

const bearer = { tenant_id: 't', user_id: 'u', session_id: 's', issued_at: 1_000 };

describe('revocations', () => {
  const cases: [name: string, revocation: Partial<Revocation>, isVoid: boolean][] = [
    ['its session', { session_id: 's' }, true],
    ['another session', { session_id: 'other' }, false],
    ['everything of the user before now', { session_id: null, occurredAt: 1_001 }, true],
    ['everything of the user before it was issued', { session_id: null, occurredAt: 1_000 }, false],
    ['another user', { user_id: 'v' }, false],
    ['a user of the same id in another tenant', { tenant_id: 'x' }, false],
    ['it, but only until a while ago', { validUntil: 4_999 }, false],
  ];
  for (const [name, revocation, isVoid] of cases) {
    it(`${isVoid ? 'void' : 'leave'} a token when they name ${name}`, () => {
      const revocations = createRevocations({ now: () => 5_000 });
      revocations.add(aRevocation(revocation));
      assert.equal(revocations.isRevoked(bearer), isVoid);
    });
  }

  it('are forgotten when nothing that they void can be valid any more', () => {
    let at = 5_000;
    const revocations = createRevocations({ now: () => at });
    revocations.add(aRevocation({}));
    at = 10_001;
    assert.equal(revocations.isRevoked(bearer), false);
    revocations.prune();
    assert.equal(revocations.size(), 0);
  });

  it('are read from values alone that are revocations', () => {
    const value = {
      tenant_id: 't',
      user_id: 'u',
      session_id: null,
      occurred_at: '2026-01-01T00:00:00.000Z',
      valid_until: '2026-01-01T00:15:00.000Z',
    };
    assert.equal(revocationFrom(value)?.validUntil, Date.parse(value.valid_until));
    for (const bad of [null, 'x', {}, { ...value, user_id: 5 }, { ...value, valid_until: 'soon' }]) {
      assert.equal(revocationFrom(bad), undefined);
    }
  });
});

function aRevocation(changes: Partial<Revocation>): Revocation {
  return { tenant_id: 't', user_id: 'u', session_id: 's', occurredAt: 2_000, validUntil: 10_000, ...changes };
}
