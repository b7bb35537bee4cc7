import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type Cost, hashPassword, verifyNobody, verifyPassword } from './passwords.ts';

const cheap: Cost = { memoryKib: 64, passes: 1, lanes: 1 };

describe('passwords', () => {
  it('are kept as argon2id at the recommended cost', async () => {
    assert.match(
      await hashPassword('tulip-47-oak'),
      /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/,
    );
  });

  it('never hash to the same text twice', async () => {
    assert.notEqual(await hashPassword('tulip-47-oak', cheap), await hashPassword('tulip-47-oak', cheap));
  });

  it('match themselves, and nothing else', async () => {
    const hash = await hashPassword('tulip-47-oak', cheap);
    assert.equal((await verifyPassword('tulip-47-oak', hash)).matches, true);
    for (const wrong of ['tulip-47-oa', 'tulip-47-oak ', 'Tulip-47-oak', '']) {
      assert.equal((await verifyPassword(wrong, hash)).matches, false, wrong);
    }
  });

  it('are the same however the keyboard composes a character', async () => {
    const hash = await hashPassword('caf\u00e9-in-the-rain', cheap);
    assert.equal((await verifyPassword('cafe\u0301-in-the-rain', hash)).matches, true);
  });

  it('ask to be hashed again when the cost has changed', async () => {
    assert.equal((await verifyPassword('a', await hashPassword('a', cheap))).outdated, true);
    assert.equal((await verifyPassword('a', await hashPassword('a'))).outdated, false);
  });

  it('are checked against a hash of the reference implementation', async () => {
    // From the test vectors of phc-winner-argon2.
    const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
    assert.deepEqual(await verifyPassword('password', hash), { matches: true, outdated: true });
    assert.deepEqual(await verifyPassword('passwore', hash), { matches: false, outdated: false });
  });

  it('refuse a stored text that is no hash of ours, without showing it', async () => {
    for (const broken of [
      '',
      'secret',
      '$2b$10$abc',
      '$argon2id$v=19$m=99999999,t=2,p=1$YWJjZGVmZ2hpamtsbW5vcA$YWJjZGVmZ2hpamtsbW5vcA',
    ]) {
      await assert.rejects(
        verifyPassword('a', broken),
        (error: Error) => !error.message.includes(broken || 'argon2id'),
      );
    }
  });

  it('of nobody never match', async () => {
    assert.deepEqual(await verifyNobody('tulip-47-oak'), { matches: false, outdated: false });
  });
});
