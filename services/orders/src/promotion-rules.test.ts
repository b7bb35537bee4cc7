import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { discountOf, normalisedCode, refusalOf } from './promotion-rules.ts';
import type { VersionedPromotion } from './types.ts';

const noon = Date.parse('2026-05-01T12:00:00.000Z');

describe('a promotion', () => {
  const cases: [
    says: string,
    fields: Partial<VersionedPromotion>,
    subtotal: number,
    expected: string | undefined,
  ][] = [
    ['applies without any bound', {}, 1, undefined],
    ['does not apply while it is switched off', { active: false }, 1, 'inactive'],
    ['does not apply before it starts', { starts_at: '2026-05-01T12:00:00.001Z' }, 1, 'not_started'],
    ['applies from the moment it starts', { starts_at: '2026-05-01T12:00:00.000Z' }, 1, undefined],
    ['does not apply from the moment it ends', { ends_at: '2026-05-01T12:00:00.000Z' }, 1, 'expired'],
    ['applies until it ends', { ends_at: '2026-05-01T12:00:00.001Z' }, 1, undefined],
    ['does not apply once it is used up', { usage_limit: 5, used: 5 }, 1, 'exhausted'],
    ['applies to its last use', { usage_limit: 5, used: 4 }, 1, undefined],
    ['never applies with a limit of none', { usage_limit: 0 }, 1, 'exhausted'],
    ['does not apply below its minimum', { minimum: 1000 }, 999, 'minimum_not_met'],
    ['applies at its minimum', { minimum: 1000 }, 1000, undefined],
  ];
  for (const [says, fields, subtotal, expected] of cases) {
    it(says, () => assert.equal(refusalOf(aPromotion(fields), subtotal, noon), expected));
  }

  it('that nobody has made is unknown', () => assert.equal(refusalOf(undefined, 1, noon), 'unknown'));

  it('takes off a percentage, rounded down', () => {
    assert.equal(discountOf({ kind: 'percent', value: 33 }, 100), 33);
    assert.equal(discountOf({ kind: 'percent', value: 33 }, 199), 65);
    assert.equal(discountOf({ kind: 'percent', value: 100 }, 199), 199);
  });

  it('takes off an amount, but never more than there is', () => {
    assert.equal(discountOf({ kind: 'amount', value: 500 }, 800), 500);
    assert.equal(discountOf({ kind: 'amount', value: 500 }, 300), 300);
  });

  it('is found by its code however that is written', () => {
    for (const written of ['summer-10', ' SUMMER-10 ', 'Summer-10', 'ｓｕｍｍｅｒ-10']) {
      assert.equal(normalisedCode(written), 'SUMMER-10');
    }
  });
});

function aPromotion(fields: Partial<VersionedPromotion>): VersionedPromotion {
  const terms = { kind: 'percent' as const, value: 10, minimum: 0, starts_at: null, ends_at: null };
  return { id: 'p', code: 'TEN', ...terms, usage_limit: null, used: 0, active: true, version: 1, ...fields };
}
