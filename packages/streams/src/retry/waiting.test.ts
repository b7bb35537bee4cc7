import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { FetchedBatch } from '../member.ts';
import { dueOf } from './waiting.ts';

const now = Date.parse('2026-01-01T00:00:00.000Z');

describe('what of a retry topic is due', () => {
  it('is everything up to the first record that must wait, and how long that is', () => {
    const { batch, waitMs } = dueOf(aBatch([-5, 0, 40, -1]), now);
    assert.deepEqual(
      batch?.records.map(({ offset }) => offset),
      ['10', '11'],
    );
    // The next fetch goes on at the one that waits.
    assert.equal(batch?.next, 12n);
    assert.equal(waitMs, 40);
  });

  it('is nothing while the first of all must wait', () => {
    assert.deepEqual(dueOf(aBatch([1, -10]), now), { batch: undefined, waitMs: 1 });
  });

  it('is all where none must wait, also a record without a readable time', () => {
    const batch = aBatch([-1, Number.NaN]);
    assert.deepEqual(dueOf(batch, now), { batch, waitMs: undefined });
  });
});

/** Records that are due so many milliseconds from now. */
function aBatch(dueInMs: readonly number[]): FetchedBatch {
  const place = { topic: 'test.retry.60s', partition: 0 };
  const records = dueInMs.map((ms, i) => {
    const notBefore = Number.isNaN(ms) ? 'soon' : new Date(now + ms).toISOString();
    return {
      ...place,
      offset: String(10 + i),
      key: null,
      value: null,
      headers: { 'not-before': Buffer.from(notBefore) },
      timestamp: 0,
    };
  });
  return { ...place, records, from: 10n, next: 20n, highWatermark: 20n };
}
