import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { startTokens } from '../../../tests/support/tokens.ts';
import { type Instance, makeCaller, makeProduct, startInstance, type Tokens } from './orders.support.ts';
import type { SharedCache } from './shared-cache.ts';

describe('the catalogue on several instances', () => {
  let tokens: Tokens;
  let here: Instance;
  let there: Instance;

  before(async () => {
    tokens = await startTokens();
    here = await startInstance({ tokens });
    there = await startInstance({ tokens });
  });
  after(async () => {
    await here?.stop();
    await there?.stop();
    await tokens?.stop();
  });

  const someStaff = () => makeCaller(tokens, here, { roles: ['staff'] });
  const namesOf = ({ body }: { body: { data: { name: string }[] } }) => body.data.map(({ name }) => name);

  it('shows a change, a new product and a deletion at once on every instance', async () => {
    const staff = await someStaff();
    const at = [staff, staff.at(there)];
    const { id } = await makeProduct(staff, { name: 'A', price: 100 });
    for (let price = 101; price <= 110; price++) {
      const [writer, reader] = price % 2 === 0 ? at : at.toReversed();
      await writer?.patch(`/v1/products/${id}`, { price });
      assert.equal((await reader?.get(`/v1/products/${id}`))?.body.price, price);
      assert.equal((await reader?.get('/v1/products'))?.body.data[0].price, price);
    }
    await makeProduct(staff, { name: 'B' });
    assert.deepEqual(namesOf(await staff.at(there).get('/v1/products')), ['A', 'B']);
    await staff.at(there).call('DELETE', `/v1/products/${id}`);
    assert.deepEqual(namesOf(await staff.get('/v1/products')), ['B']);
    assert.equal((await staff.get(`/v1/products/${id}`)).status, 404);
    assert.equal((await staff.call('DELETE', `/v1/products/${id}`)).status, 404);
  });

  it('shows a change at once without Redis, too', async () => {
    const [first, second] = [
      await startInstance({ tokens, shared: 'none' }),
      await startInstance({ tokens, shared: 'none' }),
    ];
    try {
      const staff = (await someStaff()).at(first);
      const { id } = await makeProduct(staff, { price: 1 });
      for (let price = 2; price <= 6; price++) {
        await staff.at(second).get('/v1/products');
        await staff.patch(`/v1/products/${id}`, { price });
        assert.equal((await staff.at(second).get('/v1/products')).body.data[0].price, price);
      }
    } finally {
      await first.stop();
      await second.stop();
    }
  });

  it('works, and shows every change, on instances whose Redis is away', async () => {
    const away: SharedCache = {
      get: async () => ({ state: 'away' }),
      put: async () => false,
      add: async () => false,
      raise: async () => false,
      release: async () => false,
    };
    const [first, second] = [
      await startInstance({ tokens, shared: away }),
      await startInstance({ tokens, shared: away }),
    ];
    try {
      const staff = (await someStaff()).at(first);
      const { id } = await makeProduct(staff, { price: 1 });
      await staff.at(second).get(`/v1/products/${id}`);
      await staff.patch(`/v1/products/${id}`, { price: 2 });
      assert.equal((await staff.at(second).get(`/v1/products/${id}`)).body.price, 2);
    } finally {
      await first.stop();
      await second.stop();
    }
  });

  it('answers repeated reads from a cache, and counts them', async () => {
    const staff = await someStaff();
    await makeProduct(staff);
    for (let n = 0; n < 20; n++) await staff.get('/v1/products');
    await staff.at(there).get('/v1/products');
    const metrics = `${await here.metrics.text()}\n${await there.metrics.text()}`;
    assert.match(
      metrics,
      /ragline_cache_reads_total\{cache="catalogue",outcome="process",service="orders"\} [1-9]/,
    );
    assert.match(
      metrics,
      /ragline_cache_reads_total\{cache="catalogue",outcome="redis",service="orders"\} [1-9]/,
    );
  });
});
