import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { exhaustedScope, narrowScope, secondsToMidnight } from './budgets.ts';

describe('what is left of a budget', () => {
  const limits = { tenantTokens: 1_000, userTokens: 100 };
  const none = { tenantTokens: 0, userTokens: 0 };

  it('is nothing once the limit is reached, the user’s told first', () => {
    assert.equal(exhaustedScope({ tenant: 999, user: 99 }, limits), undefined);
    assert.equal(exhaustedScope({ tenant: 999, user: 100 }, limits), 'user');
    assert.equal(exhaustedScope({ tenant: 1_000, user: 0 }, limits), 'tenant');
    assert.equal(exhaustedScope({ tenant: 1e9, user: 1e9 }, none), undefined);
  });

  it('is asked for one after another where it is little, by the wider scope of the two', () => {
    assert.equal(narrowScope({ tenant: 700, user: 79 }, limits), undefined);
    assert.equal(narrowScope({ tenant: 700, user: 80 }, limits), 'user');
    assert.equal(narrowScope({ tenant: 800, user: 80 }, limits), 'tenant');
  });

  it('comes back at midnight UTC', () => {
    assert.equal(secondsToMidnight(new Date('2026-12-31T23:59:59.500Z')), 1);
    assert.equal(secondsToMidnight(new Date('2026-02-28T00:00:00.000Z')), 86_400);
  });
});
