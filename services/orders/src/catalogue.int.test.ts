import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createCodec } from '@ragline/schemas/codec';
import type { CatalogEvent } from '@ragline/schemas/types.generated';
import { after, before, describe, it } from 'mocha';
import { stack } from '../../../tests/support/stack.ts';
import { startTokens } from '../../../tests/support/tokens.ts';
import {
  type Instance,
  makeCaller,
  makeProduct,
  ownerPool,
  startInstance,
  type Tokens,
} from './orders.support.ts';

describe('the catalogue', () => {
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

  it('keeps a product as it was given, and fills in the rest', async () => {
    const staff = await someStaff();
    const given = {
      name: 'Crème brûlée ☕',
      description: 'süß',
      category: 'dessert',
      tags: ['sweet', 'cold'],
      price: 650,
      currency: 'EUR',
      available: false,
      attributes: { sku: 'D-1', allergens: ['milk'], nested: { a: [1, 2.5, null, true] } },
    };
    const made = await staff.post('/v1/products', given);
    assert.equal(made.status, 201);
    assert.equal(made.headers.get('location'), `/v1/products/${made.body.id}`);
    const { id, version, created_at, updated_at, ...kept } = made.body;
    assert.deepEqual(kept, given);
    assert.deepEqual([version, created_at], [1, updated_at]);
    assert.deepEqual((await staff.get(`/v1/products/${id}`)).body, made.body);
    const { body: bare } = await staff.post('/v1/products', { name: 'Cola', price: 0, currency: 'USD' });
    assert.deepEqual(
      [bare.description, bare.category, bare.tags, bare.available, bare.attributes],
      ['', null, [], true, {}],
    );
  });

  it('tells of every change in the transaction that makes it', async () => {
    const staff = await someStaff();
    const { id } = await makeProduct(staff);
    await staff.patch(`/v1/products/${id}`, { price: 1_000 });
    await staff.patch(`/v1/products/${id}`, { price: 1_000 });
    await staff.call('DELETE', `/v1/products/${id}`);
    const owner = ownerPool();
    try {
      const { rows } = await owner.query<{ payload: Buffer; aggregatetype: string; tenant_id: string }>(
        'SELECT payload, aggregatetype, tenant_id FROM orders.outbox WHERE aggregateid = $1 ORDER BY created_at',
        [id],
      );
      const codec = createCodec({ registryUrl: stack().registryUrl });
      const told = [];
      for (const { payload, aggregatetype, tenant_id } of rows) {
        const value = (await codec.decode(payload)).value as CatalogEvent;
        told.push([
          aggregatetype,
          value.event_type,
          value.product?.version,
          value.product?.price,
          value.actor_id,
        ]);
        assert.equal(value.tenant_id, tenant_id);
      }
      assert.deepEqual(told, [
        ['catalog.v1', 'product_changed', 1, 950, staff.user_id],
        ['catalog.v1', 'product_changed', 2, 1_000, staff.user_id],
        ['catalog.v1', 'product_deleted', 3, 1_000, staff.user_id],
      ]);
    } finally {
      await owner.end();
    }
  });

  it('is filtered and sorted as asked', async () => {
    const staff = await someStaff();
    await makeProduct(staff, { name: 'Äpfel', price: 300, category: 'fruit', tags: ['vegan', 'red'] });
    await makeProduct(staff, {
      name: 'banana',
      price: 100,
      category: 'fruit',
      tags: ['vegan'],
      available: false,
    });
    await makeProduct(staff, { name: 'Cake', price: 200, category: 'dessert' });
    const cases: [query: string, expected: string[]][] = [
      ['', ['Äpfel', 'banana', 'Cake']],
      ['?sort=price', ['banana', 'Cake', 'Äpfel']],
      ['?sort=-price', ['Äpfel', 'Cake', 'banana']],
      ['?category=fruit', ['Äpfel', 'banana']],
      ['?tag=red', ['Äpfel']],
      ['?available=true&tag=vegan', ['Äpfel']],
      ['?available=false', ['banana']],
      ['?min_price=200&sort=price', ['Cake', 'Äpfel']],
      ['?min_price=101&max_price=299', ['Cake']],
      ['?category=Fruit', []],
      ['?q=apfel', ['Äpfel']],
      ['?q=fruit&sort=price', ['banana', 'Äpfel']],
      ['?q=fruit&available=true', ['Äpfel']],
    ];
    for (const [query, expected] of cases) {
      assert.deepEqual(namesOf(await staff.get(`/v1/products${query}`)), expected, query);
    }
  });

  it('is leafed through without a repetition or a gap, whatever comes in between', async () => {
    const staff = await someStaff();
    for (let n = 10; n < 30; n++) await makeProduct(staff, { name: `Soup ${n}`, price: 100 + (n % 3) });
    for (const query of [
      'sort=name',
      'sort=price',
      'sort=-price',
      'q=soup',
      'q=soup&sort=-price',
      'q=soup&sort=name',
    ]) {
      const seen: string[] = [];
      let cursor = '';
      do {
        const { body } = await staff.get(`/v1/products?limit=7&${query}${cursor && `&cursor=${cursor}`}`);
        seen.push(...body.data.map(({ id }: { id: string }) => id));
        cursor = body.next_cursor;
        // One that comes before and one that comes after: the first must not push anything into the next page.
        await makeProduct(staff, { name: 'Bread', price: 1 });
      } while (cursor);
      assert.equal(new Set(seen).size, seen.length, query);
      const { body } = await staff.get(`/v1/products?limit=200&${query}`);
      const soups = body.data.filter(({ name }: { name: string }) => name.startsWith('Soup'));
      for (const { id } of soups) assert.ok(seen.includes(id), query);
    }
  });

  it('is found by words in any order, by beginnings, without accents, and by words spelt wrong', async () => {
    const staff = await someStaff();
    await makeProduct(staff, {
      name: 'Pizza Margherita',
      description: 'tomato, mozzarella',
      tags: ['vegetarian'],
    });
    await makeProduct(staff, { name: 'Crème brûlée', category: 'dessert' });
    await makeProduct(staff, { name: 'Борщ' });
    await makeProduct(staff, { name: 'Coca-Cola 0,5 l' });
    const cases: [q: string, first: string | undefined][] = [
      ['margherita pizza', 'Pizza Margherita'],
      ['marg', 'Pizza Margherita'],
      ['margerita', 'Pizza Margherita'],
      ['piza margarita', 'Pizza Margherita'],
      ['mozzarella', 'Pizza Margherita'],
      ['vegetarian', 'Pizza Margherita'],
      ['creme brulee', 'Crème brûlée'],
      ['CREME BRULE', 'Crème brûlée'],
      ['dessert', 'Crème brûlée'],
      ['борщ', 'Борщ'],
      ['coca cola', 'Coca-Cola 0,5 l'],
      ['tractor', undefined],
      ["'; drop table -- & | ! ( <-> :*", undefined],
      ['!!!', undefined],
    ];
    for (const [q, first] of cases) {
      const answer = await staff.get(`/v1/products?q=${encodeURIComponent(q)}`);
      assert.equal(answer.status, 200, q);
      assert.equal(namesOf(answer)[0], first, q);
    }
  });

  it('has the better match first', async () => {
    const staff = await someStaff();
    await makeProduct(staff, { name: 'Fries', description: 'with cola' });
    await makeProduct(staff, { name: 'Cola light in the large bottle' });
    await makeProduct(staff, { name: 'Cola' });
    assert.deepEqual(namesOf(await staff.get('/v1/products?q=cola')), [
      'Cola',
      'Cola light in the large bottle',
      'Fries',
    ]);
  });

  it('is changed by whoever knows its version, when a version is named', async () => {
    const staff = await someStaff();
    const { id } = await makeProduct(staff);
    const path = `/v1/products/${id}`;
    assert.equal((await staff.get(path)).headers.get('etag'), '"1"');
    const changed = await staff.patch(path, { name: 'New' }, { 'if-match': '"1"' });
    assert.deepEqual([changed.status, changed.headers.get('etag')], [200, '"2"']);
    const late = await staff.patch(path, { name: 'Late' }, { 'if-match': '"1"' });
    assert.deepEqual([late.status, late.body.code], [412, 'version_mismatch']);
    assert.equal((await staff.call('DELETE', path, { headers: { 'if-match': '"1"' } })).status, 412);
    assert.equal((await staff.call('DELETE', path, { headers: { 'if-match': '"2"' } })).status, 204);
  });

  it('loses no change of several at once', async () => {
    const staff = await someStaff();
    const { id } = await makeProduct(staff);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        staff.at(n % 2 ? here : there).patch(`/v1/products/${id}`, { price: n }),
      ),
    );
    assert.deepEqual(new Set(answers.map(({ body }) => body.version)).size, 20);
    assert.equal((await staff.get(`/v1/products/${id}`)).body.version, 21);
  });

  it('is made once per idempotency key', async () => {
    const staff = await someStaff();
    const key = { 'idempotency-key': randomUUID() };
    const product = { name: 'Once', price: 1, currency: 'EUR' };
    const first = await staff.post('/v1/products', product, key);
    const again = await staff.at(there).post('/v1/products', product, key);
    assert.deepEqual([again.status, again.body], [201, first.body]);
    assert.equal(
      (await staff.post('/v1/products', { ...product, price: 2 }, key)).body.code,
      'idempotency_key_reused',
    );
    assert.equal((await staff.get('/v1/products')).body.data.length, 1);
  });

  it('is read by everybody of the tenant, written by its staff, and closed to all others', async () => {
    const staff = await someStaff();
    const { id } = await makeProduct(staff);
    const path = `/v1/products/${id}`;
    const customer = await makeCaller(tokens, here, { tenant_id: staff.tenant_id });
    const foreign = await someStaff();
    const operator = await makeCaller(tokens, here, { tenant_id: staff.tenant_id, roles: ['operator'] });
    const product = { name: 'x', price: 1, currency: 'EUR' };
    const cases: [status: number, answer: { status: number }][] = [
      [200, await customer.get(path)],
      [403, await customer.post('/v1/products', product)],
      [403, await customer.patch(path, { price: 1 })],
      [403, await customer.call('DELETE', path)],
      [404, await foreign.get(path)],
      [404, await foreign.patch(path, { price: 1 })],
      [404, await foreign.call('DELETE', path)],
      [403, await operator.get(path)],
      [403, await operator.get('/v1/products')],
      [401, await here.http('GET', path)],
    ];
    for (const [status, answer] of cases) assert.equal(answer.status, status);
    assert.deepEqual((await foreign.get('/v1/products?q=pizza')).body.data, []);
    assert.deepEqual((await foreign.get('/v1/products')).body.data, []);
  });
});
