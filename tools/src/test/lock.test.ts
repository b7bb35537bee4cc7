import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
// @ts-expect-error: plain JavaScript, since it runs where no TypeScript does.
import { lockPlatforms } from '../../bin/lock-platforms.mjs';

describe('package-lock.json', () => {
  it('has the packages of all platforms, without which npm ci refuses it', () => {
    const path = join(import.meta.dirname, '..', '..', '..', 'package-lock.json');
    const missing = lockPlatforms(JSON.parse(readFileSync(path, 'utf8')));
    assert.deepEqual(missing, [], 'mend: node tools/bin/lock-platforms.mjs');
  });
});
