import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { z } from 'zod';
import { uuid } from './fields.ts';
import { decodePageCursor, encodePageCursor, toPage } from './pages.ts';
import { Problem } from './problems.ts';

const isMalformed = (error: unknown) => error instanceof Problem && error.code === 'malformed';
const row = (n: number) => ({ id: `id-${n}`, created_at: n });

describe('pages', () => {
  it('point to the next one as long as there is more', () => {
    const rows = [row(1), row(2), row(3)];
    const page = toPage(rows, 2, ({ id, created_at }) => [created_at, id]);
    assert.deepEqual(page.data, [row(1), row(2)]);
    assert.deepEqual(decodePageCursor(page.next_cursor ?? undefined), [2, 'id-2']);
  });

  it('end where the rows do', () => {
    assert.deepEqual(
      toPage([row(1), row(2)], 2, ({ id }) => [id]),
      { data: [row(1), row(2)], next_cursor: null },
    );
    assert.deepEqual(
      toPage([], 2, () => []),
      { data: [], next_cursor: null },
    );
  });

  it('begin without a cursor', () => {
    assert.equal(decodePageCursor(undefined), undefined);
  });

  it('take any key that a row may have', () => {
    const key = ['Ünïcode 😀', 1.5, null, true];
    assert.deepEqual(decodePageCursor(encodePageCursor(key)), key);
  });

  const base64 = (value: string) => Buffer.from(value).toString('base64url');
  for (const [name, cursor] of [
    ['random text', 'not a cursor'],
    ['random base64', 'AAAA'],
    ['no array', base64('{"a":1}')],
    ['an object inside', base64('[{"$gt":""}]')],
    ['too many values', base64(JSON.stringify(Array.from({ length: 9 }, () => 1)))],
    ['a NUL', base64('["a\\u0000"]')],
    ['an empty text', ''],
  ] as const) {
    it(`refuse a cursor of ${name}`, () => {
      assert.throws(() => decodePageCursor(cursor), isMalformed);
    });
  }

  it('refuse a cursor whose values are not those of the query', () => {
    const shape = z.tuple([z.number(), uuid]);
    assert.throws(() => decodePageCursor(encodePageCursor([1, 'x']), shape), isMalformed);
    const key: [number, string] = [1, '0199c0de-0000-7000-8000-000000000000'];
    assert.deepEqual(decodePageCursor(encodePageCursor(key), shape), key);
  });
});
