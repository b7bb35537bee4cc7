import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { missedGoals } from './goals.ts';

const ms = { p50: 1, p95: 1, p99: 1, max: 1 };
const figures = {
  requests: { 'POST /v1/orders': { count: 3, failed: 0, ms } },
  cacheHitRate: 0.9,
  streams: { streams: 100, events: 3, missing: 0, doubled: 0, ms },
};

describe('goals of a load', () => {
  it('are reached where k6 says so and everything was measured', () =>
    assert.deepEqual(missedGoals(true, figures), []));

  const table: [string, Parameters<typeof missedGoals>, RegExp][] = [
    ['k6 saw one missed', [false, figures], /k6 names it/],
    ['nothing was ordered', [true, { ...figures, requests: {} }], /no order was placed/],
    ['the cache was asked in vain', [true, { ...figures, cacheHitRate: 0.8 }], /below 0.85/],
    [
      'nobody counted what the cache was asked',
      [true, { ...figures, cacheHitRate: undefined }],
      /no instance/,
    ],
    ['streams were silent', [true, { ...figures, streams: { ...figures.streams, events: 0 } }], /no event/],
    [
      'a stream missed one',
      [true, { ...figures, streams: { ...figures.streams, missing: 1 } }],
      /missed events/,
    ],
    ['a stream saw one twice', [true, { ...figures, streams: { ...figures.streams, doubled: 1 } }], /twice/],
  ];
  for (const [name, given, expected] of table) {
    it(`are missed where ${name}`, () => {
      const missed = missedGoals(...given);
      assert.equal(missed.length, 1);
      assert.match(missed.join(), expected);
    });
  }
});
