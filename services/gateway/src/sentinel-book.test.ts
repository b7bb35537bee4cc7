import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createBook } from './sentinel-book.ts';

const places = [
  { stage: 'accepted' as const, instance: 'orders' },
  { stage: 'live' as const, instance: 'notifications-1' },
];
const aBook = () => createBook({ places, lateAfterMs: 30_000, startedAt: 0 });

describe("the sentinel's book", () => {
  it('is starting until an order passed everywhere, then well', () => {
    const book = aBook();
    assert.equal(book.state(1_000), 'starting');
    book.placed('a', 1_000);
    book.seen('accepted', 'orders', 'a', 1_010);
    assert.equal(book.state(1_010), 'starting');
    book.seen('live', 'notifications-1', 'a', 1_020);
    assert.equal(book.state(1_020), 'ok');
  });

  it('is late when nothing passes, from the very start too', () => {
    assert.equal(aBook().state(30_001), 'late');
  });

  it('counts the age from when the newest order that passed was placed', () => {
    const book = aBook();
    book.placed('a', 1_000);
    book.seen('accepted', 'orders', 'a', 1_500);
    book.seen('live', 'notifications-1', 'a', 4_000);
    assert.deepEqual(
      book.ages(11_000).map(({ ageS }) => ageS),
      [10, 10],
    );
  });

  it('knows an order whose event was faster than the answer', () => {
    const book = aBook();
    assert.equal(book.seen('live', 'notifications-1', 'a', 1_010), undefined);
    assert.deepEqual(book.placed('a', 1_000), [{ stage: 'live', instance: 'notifications-1', at: 1_010 }]);
    assert.equal(book.ages(2_000)[1]?.ageS, 1);
  });

  it('does not grow young by an old order that comes late', () => {
    const book = aBook();
    book.placed('a', 1_000);
    book.placed('b', 9_000);
    book.seen('live', 'notifications-1', 'b', 9_100);
    book.seen('live', 'notifications-1', 'a', 9_200);
    assert.equal(book.ages(10_000)[1]?.ageS, 1);
  });

  it("takes no note of other people's orders, and keeps few of them", () => {
    const book = aBook();
    for (let i = 0; i < 1_000; i++) book.seen('live', 'notifications-1', `other-${i}`, i);
    assert.equal(book.state(1_000), 'starting');
    assert.deepEqual(book.placed('other-0', 1), []);
  });
});
