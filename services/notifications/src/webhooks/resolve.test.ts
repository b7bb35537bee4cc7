import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { checkTarget } from './resolve.ts';

describe('the name of a webhook', () => {
  const rules = { allowLoopback: false };
  const judged = async (resolve: () => Promise<string[]>) => {
    const target = await checkTarget('https://hooks.example/', rules, resolve);
    return typeof target === 'string' ? target : target.addresses;
  };

  it('is one that nobody could be asked for, and not one without an address, where DNS fails', async () => {
    assert.equal(await judged(() => Promise.reject(new Error('SERVFAIL'))), 'dns_failed');
    assert.equal(await judged(async () => []), 'name_unresolved');
  });
  it('is good by all of its addresses', async () => {
    assert.deepEqual(await judged(async () => ['1.1.1.1', '1.0.0.1']), ['1.1.1.1', '1.0.0.1']);
    assert.equal(await judged(async () => ['1.1.1.1', '10.0.0.1']), 'address_not_public');
  });
});
