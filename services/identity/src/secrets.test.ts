import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { hashOf, newSecret, open, seal, secretShape } from './secrets.ts';

describe('secrets', () => {
  it('are 256 random bits in base64url', () => {
    const secrets = Array.from({ length: 100 }, newSecret);
    assert.equal(new Set(secrets).size, 100);
    for (const secret of secrets) {
      assert.match(secret, secretShape);
      assert.equal(Buffer.from(secret, 'base64url').length, 32);
      assert.equal(hashOf(secret).length, 32);
    }
  });

  it('open with the key, the purpose and the context they were sealed with', () => {
    const sealed = seal('text', 'key', 'purpose', 'context');
    assert.equal(open(sealed, 'key', 'purpose', 'context'), 'text');
  });

  const sealed = seal('text', 'key', 'purpose', 'context');
  const flipped = Buffer.from(sealed);
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 1) ^ 1, flipped.length - 1);
  const cases: [string, Parameters<typeof open>][] = [
    ['another key', [sealed, 'kez', 'purpose', 'context']],
    ['another purpose', [sealed, 'key', 'other', 'context']],
    ['another context', [sealed, 'key', 'purpose', 'other']],
    ['a changed bit', [flipped, 'key', 'purpose', 'context']],
    ['a shortened tag', [sealed.subarray(0, 20), 'key', 'purpose', 'context']],
    ['nothing', [Buffer.alloc(0), 'key', 'purpose', 'context']],
  ];
  for (const [name, args] of cases) it(`do not open with ${name}`, () => assert.throws(() => open(...args)));
});
