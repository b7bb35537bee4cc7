import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { type KeyPolicy, type KeyTimes, planKeys, signingKey } from './key-plan.ts';

const policy: KeyPolicy = { lifetimeMs: 1_000, leadMs: 100, keepMs: 50 };
const at = (ms: number): Date => new Date(ms);
const key = (kid: string, ms: number): KeyTimes => ({ kid, signs_from: at(ms) });

describe('the plan of signing keys', () => {
  const cases: [string, KeyTimes[], number, { make: number[]; remove: string[] }][] = [
    [
      'at the very first start: one for now and one for later',
      [],
      5_000,
      { make: [5_000, 6_000], remove: [] },
    ],
    ['with both there: nothing', [key('a', 0), key('b', 1_000)], 500, { make: [], remove: [] }],
    [
      'when the next took over: one more',
      [key('a', 0), key('b', 1_000)],
      1_000,
      { make: [2_000], remove: [] },
    ],
    [
      'while tokens of the old one may live: it stays',
      [key('a', 0), key('b', 1_000), key('c', 2_000)],
      1_050,
      { make: [], remove: [] },
    ],
    [
      'after they have ended: it goes',
      [key('a', 0), key('b', 1_000), key('c', 2_000)],
      1_051,
      { make: [], remove: ['a'] },
    ],
    [
      'after a long stop: never later than a lead from now',
      [key('a', 0), key('b', 1_000)],
      9_000,
      { make: [9_100], remove: ['a'] },
    ],
    ['with only future keys: one for now', [key('b', 9_000)], 5_000, { make: [5_000], remove: [] }],
  ];
  for (const [name, keys, now, { make, remove }] of cases) {
    it(name, () => assert.deepEqual(planKeys(keys, at(now), policy), { make: make.map(at), remove }));
  }

  it('lets every instance choose the same key of one moment', () => {
    const keys = [key('b', 0), key('a', 0)];
    assert.equal(signingKey(keys, at(1))?.kid, signingKey(keys.toReversed(), at(1))?.kid);
  });

  it('publishes every key ahead of its first signature, and keeps it until its last token ended', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(steps, (waits) => {
        let keys: KeyTimes[] = [];
        let now = 0;
        const publishedAt = new Map<string, number>();
        const lastSigned = new Map<string, number>();
        for (const wait of waits) {
          now += wait;
          const { make, remove } = planKeys(keys, at(now), policy);
          for (const kid of remove)
            assert.ok(now - (lastSigned.get(kid) ?? 0) > policy.keepMs || !lastSigned.has(kid));
          const made = make.map((signs_from) => ({
            kid: `k${publishedAt.size}-${signs_from.getTime()}`,
            signs_from,
          }));
          for (const { kid } of made) publishedAt.set(kid, now);
          keys = [...keys.filter(({ kid }) => !remove.includes(kid)), ...made];
          const signs = signingKey(keys, at(now));
          assert.ok(signs);
          lastSigned.set(signs.kid, now);
          assert.ok(keys.length >= 2, 'two keys live at once');
          const isFirst = publishedAt.get(signs.kid) === publishedAt.values().next().value;
          if (!isFirst)
            assert.ok(signs.signs_from.getTime() - (publishedAt.get(signs.kid) ?? 0) >= policy.leadMs);
        }
      }),
    );
  });
});
