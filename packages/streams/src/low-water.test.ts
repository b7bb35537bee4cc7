import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { createLowWater } from './low-water.ts';

describe('the low-water mark', () => {
  it('stays at the lowest unfinished offset while later ones finish', () => {
    const mark = createLowWater(10n);
    for (const offset of [10n, 11n, 12n]) mark.begin(offset);
    mark.finish(11n);
    mark.finish(12n);
    assert.equal(mark.committable(), 10n);
    mark.finish(10n);
    assert.equal(mark.committable(), 13n);
  });

  it('steps over the markers of transactions once all before them is finished', () => {
    const mark = createLowWater(0n);
    mark.begin(0n);
    mark.reach(2n);
    assert.equal(mark.committable(), 0n);
    mark.finish(0n);
    assert.equal(mark.committable(), 2n);
  });

  it('refuses an offset that was begun before', () => {
    const mark = createLowWater(5n);
    mark.begin(7n);
    assert.throws(() => mark.begin(7n), RangeError);
  });

  it('never passes an unfinished offset, never falls, and ends behind the last one', () => {
    const run = fc.record({
      start: fc.bigInt(0n, 1n << 62n),
      gaps: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 80 }),
      // Which of the records begun so far finishes next, as a share.
      picks: fc.infiniteStream(fc.double({ min: 0, max: 0.999_999, noNaN: true })),
      finishFirst: fc.infiniteStream(fc.boolean()),
    });
    fc.assert(
      fc.property(run, ({ start, gaps, picks, finishFirst }) => {
        const mark = createLowWater(start);
        const open: bigint[] = [];
        let next = start;
        let before = start;
        const finishOne = () => {
          const [offset] = open.splice(Math.floor(picks.next().value * open.length), 1);
          if (offset !== undefined) mark.finish(offset);
        };
        const check = () => {
          const [lowest] = [next, ...open].sort((a, b) => (a < b ? -1 : 1));
          assert.equal(mark.committable(), lowest);
          assert.equal(mark.unfinished(), open.length);
          assert.ok(mark.committable() >= before);
          before = mark.committable();
        };
        for (const gap of gaps) {
          mark.begin(next);
          open.push(next);
          next += BigInt(gap);
          mark.reach(next);
          while (finishFirst.next().value && open.length > 0) {
            finishOne();
            check();
          }
          check();
        }
        while (open.length > 0) {
          finishOne();
          check();
        }
        assert.equal(mark.committable(), next);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps nothing of what is finished', () => {
    const mark = createLowWater(0n);
    for (let offset = 0n; offset < 20_000n; offset += 1n) {
      mark.begin(offset);
      mark.finish(offset);
    }
    assert.equal(mark.unfinished(), 0);
    assert.equal(mark.committable(), 20_000n);
  });
});
