import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createCursorSealer, type Position } from './cursor.ts';

const keys = '1:a secret of some length';

describe('a cursor', () => {
  it('brings back the positions of several topics', () => {
    const sealer = createCursorSealer({ keys });
    const positions = [aPosition(), { epoch: 0, next: [0, 2 ** 40 - 1, 2 ** 32, 2 ** 32 - 1, 5, 6] }];
    assert.deepEqual(sealer.open(sealer.seal(positions)), positions);
  });

  it('has 104 characters for 12 partitions, whatever their offsets', () => {
    const sealer = createCursorSealer({ keys });
    for (const offset of [0, 1_000, 2 ** 39]) {
      assert.equal(sealer.seal([aPosition(offset)]).length, 104);
    }
  });

  it('is the same text on every instance with the same keys, and shows nothing of the offsets', () => {
    const texts = [0, 1].map(() => createCursorSealer({ keys }).seal([aPosition(7)]));
    assert.equal(texts[0], texts[1]);
    const [a, b] = [7, 8].map((offset) => createCursorSealer({ keys }).seal([aPosition(offset)]));
    let same = 0;
    for (const [i, character] of [...(a ?? '')].entries()) if (character === b?.[i]) same += 1;
    assert.ok(same < 20, `${same} of 104 characters are the same`);
  });

  it('is refused when any character of it is changed, cut off or added', () => {
    const sealer = createCursorSealer({ keys });
    const text = sealer.seal([aPosition(3)]);
    for (let i = 0; i < text.length; i += 1) {
      const other = text[i] === 'A' ? 'B' : 'A';
      assert.equal(sealer.open(text.slice(0, i) + other + text.slice(i + 1)), undefined);
    }
    for (const bad of [
      '',
      'A',
      text.slice(1),
      text.slice(0, -1),
      `${text}A`,
      `${text}=`,
      ` ${text}`,
      'ä'.repeat(104),
    ]) {
      assert.equal(sealer.open(bad), undefined);
    }
    assert.equal(sealer.open('A'.repeat(100_000)), undefined);
  });

  it('outlives the rotation of its key, but not the key', () => {
    const old = createCursorSealer({ keys }).seal([aPosition(9)]);
    const rotated = createCursorSealer({ keys: `2:another and longer secret,${keys}` });
    assert.deepEqual(rotated.open(old), [aPosition(9)]);
    const fresh = rotated.seal([aPosition(9)]);
    assert.notEqual(fresh, old);
    assert.equal(createCursorSealer({ keys }).open(fresh), undefined);
  });

  it('is not made with a setting that is malformed', () => {
    for (const bad of [
      '',
      'x',
      '16:0123456789abcdef',
      '1:short',
      '1:0123456789abcdef,1:0123456789abcdef',
      ':0123456789abcdef',
    ]) {
      assert.throws(() => createCursorSealer({ keys: bad }), RangeError);
    }
  });

  it('is not made of numbers that do not fit', () => {
    const sealer = createCursorSealer({ keys });
    for (const next of [[], [-1], [2 ** 40], [Number.NaN], Array.from({ length: 256 }, () => 0)]) {
      assert.throws(() => sealer.seal([{ epoch: 1, next }]), RangeError);
    }
  });
});

function aPosition(offset = 41): Position {
  return { epoch: 0xdeadbeef, next: Array.from({ length: 12 }, (_, i) => offset + i) };
}
