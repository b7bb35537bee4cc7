import assert from 'node:assert/strict';
import { Problem } from '@ragline/web/problems';
import { describe, it } from 'mocha';
import { type Attempt, type LoginLimits, loginLimits } from './login-limits.ts';

const limits = () =>
  loginLimits(
    {
      enabled: true,
      failuresPerAccountAndAddress: 3,
      failuresPerAccount: 6,
      failuresPerAddress: 8,
      windowSeconds: 60,
    },
    undefined,
  );
const attempt = (email: string, address: string): Attempt => ({ tenant: 'demo', email, address });

async function fail(by: LoginLimits, who: Attempt, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await by.failed(who);
}
const isBlocked = (by: LoginLimits, who: Attempt): Promise<boolean> =>
  by.check(who).then(
    () => false,
    (error: unknown) => {
      assert.ok(error instanceof Problem);
      assert.equal(error.code, 'rate_limited');
      const seconds = Number(error.headers['retry-after']);
      assert.ok(seconds >= 1 && seconds <= 60, `Retry-After ${seconds}`);
      return true;
    },
  );

describe('login limits', () => {
  it('block an account at the address where it failed too often, and there only', async () => {
    const by = limits();
    await fail(by, attempt('a', '1'), 3);
    assert.equal(await isBlocked(by, attempt('a', '1')), true);
    assert.equal(await isBlocked(by, attempt('a', '2')), false);
    assert.equal(await isBlocked(by, attempt('b', '1')), false);
  });

  it('block an account everywhere when it fails from many addresses', async () => {
    const by = limits();
    for (const address of ['1', '2', '3']) await fail(by, attempt('a', address), 2);
    assert.equal(await isBlocked(by, attempt('a', '9')), true);
    assert.equal(await isBlocked(by, attempt('b', '9')), false);
  });

  it('block an address that tries many accounts', async () => {
    const by = limits();
    for (const email of ['a', 'b', 'c', 'd']) await fail(by, attempt(email, '1'), 2);
    assert.equal(await isBlocked(by, attempt('z', '1')), true);
    assert.equal(await isBlocked(by, attempt('z', '2')), false);
  });

  it('forget the failures of an account that then signs in', async () => {
    const by = limits();
    await fail(by, attempt('a', '1'), 2);
    await by.succeeded(attempt('a', '1'));
    await fail(by, attempt('a', '1'), 2);
    assert.equal(await isBlocked(by, attempt('a', '1')), false);
  });

  it('keep apart accounts of the same name in two tenants', async () => {
    const by = limits();
    await fail(by, attempt('a', '1'), 3);
    assert.equal(await isBlocked(by, { ...attempt('a', '1'), tenant: 'acme' }), false);
  });

  it('let everything pass when they are switched off', async () => {
    const config = {
      failuresPerAccountAndAddress: 1,
      failuresPerAccount: 1,
      failuresPerAddress: 1,
      windowSeconds: 60,
    };
    const by = loginLimits({ ...config, enabled: false }, undefined);
    await fail(by, attempt('a', '1'), 50);
    assert.equal(await isBlocked(by, attempt('a', '1')), false);
  });
});
