import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { createLanes } from './lanes.ts';

type Item = { key: string | null; at: number };

describe('lanes', () => {
  it('gives the next of a key only when the one before is released', () => {
    const lanes = createLanes<Item>('by-key');
    const [first, second, other] = [
      { key: 'a', at: 0 },
      { key: 'a', at: 1 },
      { key: 'b', at: 2 },
    ];
    for (const item of [first, second, other]) lanes.add(item.key, item);
    assert.equal(lanes.take(), first);
    assert.equal(lanes.take(), other);
    assert.equal(lanes.take(), undefined);
    lanes.release(first);
    assert.equal(lanes.take(), second);
  });

  it('keeps nobody waiting for a record without a key', () => {
    const lanes = createLanes<Item>('by-key');
    const items = [0, 1, 2].map((at) => ({ key: null, at }));
    for (const item of items) lanes.add(null, item);
    assert.deepEqual([lanes.take(), lanes.take(), lanes.take()], items);
  });

  it('knows no keys where order is none', () => {
    const lanes = createLanes<Item>('none');
    for (const at of [0, 1]) lanes.add('a', { key: 'a', at });
    assert.deepEqual([lanes.take()?.at, lanes.take()?.at], [0, 1]);
    assert.equal(lanes.has('a'), false);
  });

  it('gives everything once, each key in order and one at a time, whatever is added and released when', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ do: fc.constant('add' as const), key: fc.constantFrom('a', 'b', 'c', null) }),
        fc.record({ do: fc.constant('take' as const) }),
        fc.record({ do: fc.constant('release' as const), pick: fc.nat(20) }),
      ),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(steps, (script) => {
        const lanes = createLanes<Item>('by-key');
        const taken: Item[] = [];
        const running: Item[] = [];
        let added = 0;
        const take = () => {
          const item = lanes.take();
          if (item === undefined) return false;
          assert.ok(
            item.key === null || running.every(({ key }) => key !== item.key),
            'one of a key at a time',
          );
          taken.push(item);
          running.push(item);
          return true;
        };
        for (const step of script) {
          if (step.do === 'add') {
            lanes.add(step.key, { key: step.key, at: added });
            added += 1;
          } else if (step.do === 'take') {
            assert.equal(lanes.ready(), take());
          } else {
            const [item] = running.splice(step.pick % Math.max(1, running.length), 1);
            if (item !== undefined) lanes.release(item);
          }
        }
        while (running.length > 0 || lanes.ready()) {
          while (take());
          for (const item of running.splice(0)) lanes.release(item);
        }
        assert.equal(taken.length, added);
        for (const key of ['a', 'b', 'c']) {
          const order = taken.filter((item) => item.key === key).map(({ at }) => at);
          assert.deepEqual(
            order,
            [...order].sort((a, b) => a - b),
            `key ${key} in order`,
          );
          assert.equal(lanes.has(key), false);
        }
      }),
      { numRuns: 300 },
    );
  });
});
