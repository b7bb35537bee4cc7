import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { rawHeaders, storable, storedHeaders } from './headers.ts';

describe('headers in a row', () => {
  it('come out with the bytes they had', () => {
    const bytes = fc.uint8Array({ maxLength: 8 }).map((all) => Buffer.from(all));
    const value = fc.oneof(bytes, fc.array(bytes, { minLength: 2, maxLength: 3 }));
    const name = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => !text.includes('\0') && text !== '__proto__');
    fc.assert(
      fc.property(fc.dictionary(name, value, { maxKeys: 4 }), (headers) => {
        assert.deepEqual(
          { ...rawHeaders(JSON.parse(JSON.stringify(storedHeaders(headers)))) },
          { ...headers },
        );
      }),
    );
  });

  it('are readable where they are text', () => {
    const stored = storedHeaders({ id: 'x', raw: Buffer.from([255]), two: ['a', 'b'], none: undefined });
    assert.deepEqual(stored, {
      id: { t: 'x' },
      raw: { b: '/w==' },
      two: { t: 'b', all: [{ t: 'a' }, { t: 'b' }] },
    });
  });

  it('are refused when a row has something else', () => {
    for (const wrong of [null, 'text', { id: 'x' }, { id: { t: 1 } }])
      assert.throws(() => rawHeaders(wrong), TypeError);
  });

  it('never hold what jsonb refuses', () => {
    assert.equal(storable('a\0b\uD800c'), 'a\uFFFDb\uFFFDc');
  });
});
