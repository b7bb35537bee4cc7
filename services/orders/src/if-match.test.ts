import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { requireVersion } from './if-match.ts';

describe('If-Match', () => {
  for (const header of [undefined, '*', '"3"', '"1", "3"', ' "3" ']) {
    it(`lets ${header ?? 'nothing'} pass at version 3`, () => requireVersion(header, 3));
  }
  for (const header of ['"2"', 'W/"3"', '3', '', '"3', '"03"', '"*"']) {
    it(`stops ${JSON.stringify(header)} at version 3`, () => {
      assert.throws(() => requireVersion(header, 3), { code: 'version_mismatch', status: 412 });
    });
  }
});
