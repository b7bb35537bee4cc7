import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { startTokens } from '../../../tests/support/tokens.ts';
import {
  type Caller,
  type Instance,
  makeCaller,
  makeProduct,
  ownerPool,
  startInstance,
  type Tokens,
} from './orders.support.ts';

describe('promotions and quotes', () => {
  let tokens: Tokens;
  let here: Instance;
  let there: Instance;
  let staff: Caller;
  let customer: Caller;
  let pizza: { id: string };
  let owner: Pool;

  before(async () => {
    tokens = await startTokens();
    owner = ownerPool();
    here = await startInstance({ tokens });
    there = await startInstance({ tokens });
    staff = await makeCaller(tokens, here, { roles: ['staff'] });
    customer = await makeCaller(tokens, here, { tenant_id: staff.tenant_id });
    pizza = await makeProduct(staff, { price: 1_000 });
  });
  after(async () => {
    await here?.stop();
    await there?.stop();
    await tokens?.stop();
    await owner?.end();
  });

  const items = (quantity = 1) => [{ product_id: pizza.id, quantity }];
  const aPromotion = async (fields: Record<string, unknown> = {}) => {
    const code = `P-${randomUUID()}`;
    const { status, body, text } = await staff.post('/v1/promotions', {
      code,
      kind: 'percent',
      value: 10,
      ...fields,
    });
    assert.equal(status, 201, text);
    return body;
  };
  const used = async (id: string) => {
    const { body } = await staff.get('/v1/promotions?limit=200');
    return body.data.find((promotion: { id: string }) => promotion.id === id).used;
  };

  it('keep their limit under 200 orders at once, on two instances', async () => {
    const { id, code } = await aPromotion({ usage_limit: 50 });
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        customer.at(n % 2 === 0 ? here : there).order({ items: items(), promo_code: code }),
      ),
    );
    const placed = answers.filter(({ status }) => status === 201);
    const refused = answers.filter(({ status }) => status !== 201);
    assert.equal(placed.length, 50);
    for (const { status, body } of refused) assert.deepEqual([status, body.code], [422, 'promotion_refused']);
    assert.equal(await used(id), 50);
  }).timeout(30_000);

  it('are used whatever the spelling of the code, and given back by a cancellation', async () => {
    const { id, code } = await aPromotion({ usage_limit: 1 });
    const request = { items: items(), promo_code: ` ${code.toLowerCase()} ` };
    const first = await customer.order(request);
    assert.deepEqual([first.status, first.body.promo_code, first.body.discount], [201, code, 100]);
    assert.equal((await customer.order(request)).body.code, 'promotion_refused');
    assert.equal((await customer.post(`/v1/orders/${first.body.id}/cancel`, {})).status, 200);
    assert.equal(await used(id), 0);
    assert.equal((await customer.order(request)).status, 201);
  });

  it('that do not apply are named in a quote, and refuse an order', async () => {
    const past = '2020-01-01T00:00:00.000Z';
    const future = '2099-01-01T00:00:00.000Z';
    const cases: [reason: string, code: string][] = [
      ['unknown', 'NOBODY-MADE-IT'],
      ['inactive', (await aPromotion({ active: false })).code],
      ['not_started', (await aPromotion({ starts_at: future })).code],
      ['expired', (await aPromotion({ ends_at: past })).code],
      ['exhausted', (await aPromotion({ usage_limit: 0 })).code],
      ['minimum_not_met', (await aPromotion({ minimum: 1_001 })).code],
    ];
    for (const [reason, code] of cases) {
      const request = { items: items(), promo_code: code };
      const quote = await customer.post('/v1/orders/quote', request);
      assert.deepEqual(
        [quote.status, quote.body.refused, quote.body.promo_code, quote.body.total],
        [200, [{ code, reason }], null, 1_000],
      );
      const order = await customer.order(request);
      assert.deepEqual([order.status, order.body.code], [422, 'promotion_refused']);
      assert.deepEqual(order.body.refused, [{ code, reason }]);
    }
  });

  it('that run now are told to customers, without those that do not apply any more or yet', async () => {
    const running = await aPromotion({ minimum: 500 });
    const others = [
      await aPromotion({ active: false }),
      await aPromotion({ starts_at: '2099-01-01T00:00:00.000Z' }),
      await aPromotion({ ends_at: '2020-01-01T00:00:00.000Z' }),
      await aPromotion({ usage_limit: 0 }),
    ];
    const { status, body } = await customer.get('/v1/promotions/running');
    assert.equal(status, 200);
    const codes = body.data.map(({ code }: { code: string }) => code);
    for (const { code } of others) assert.ok(!codes.includes(code));
    assert.deepEqual(
      body.data.find(({ code }: { code: string }) => code === running.code),
      { code: running.code, kind: 'percent', value: 10, minimum: 500, ends_at: null },
    );
  });

  it('that staff change hold at once on every instance', async () => {
    const { id, code } = await aPromotion({ value: 10 });
    const request = { items: items(), promo_code: code };
    assert.equal((await customer.at(there).order(request)).body.total, 900);
    await staff.patch(`/v1/promotions/${id}`, { value: 20 });
    assert.equal((await customer.at(there).order(request)).body.total, 800);
    await staff.patch(`/v1/promotions/${id}`, { active: false });
    assert.equal((await customer.at(there).order(request)).body.code, 'promotion_refused');
    await staff.patch(`/v1/promotions/${id}`, { active: true, kind: 'amount', value: 1 });
    assert.equal((await customer.at(there).order(request)).body.total, 999);
  });

  it('have one code each in a tenant, and terms that make sense', async () => {
    const { id, code } = await aPromotion();
    const other = await aPromotion();
    const terms = { code: 'X', kind: 'percent', value: 10 };
    const cases: [status: number, answer: { status: number }][] = [
      [409, await staff.post('/v1/promotions', { ...terms, code: code.toLowerCase() })],
      [409, await staff.patch(`/v1/promotions/${other.id}`, { code })],
      [200, await staff.patch(`/v1/promotions/${id}`, { code })],
      [422, await staff.post('/v1/promotions', { ...terms, value: 101 })],
      [422, await staff.patch(`/v1/promotions/${id}`, { value: 101 })],
      [422, await staff.patch(`/v1/promotions/${id}`, { used: 0 })],
      [
        422,
        await staff.post('/v1/promotions', {
          ...terms,
          starts_at: '2026-01-02T00:00:00Z',
          ends_at: '2026-01-01T00:00:00Z',
        }),
      ],
      [404, await staff.patch(`/v1/promotions/${randomUUID()}`, { value: 1 })],
      [403, await customer.get('/v1/promotions')],
      [403, await customer.post('/v1/promotions', terms)],
    ];
    for (const [status, answer] of cases) assert.equal(answer.status, status);
  });

  it('that take the same code at the same moment get it once, and the other hears of the conflict', async () => {
    const { id } = await aPromotion();
    const code = `T-${randomUUID()}`.toUpperCase();
    const first = await owner.connect();
    try {
      await first.query('BEGIN');
      await first.query(
        `INSERT INTO orders.promotion (tenant_id, id, code, kind, value, created_at, updated_at)
         VALUES ($1, $2, $3, 'amount', 1, now(), now())`,
        [staff.tenant_id, randomUUID(), code],
      );
      const second = staff.patch(`/v1/promotions/${id}`, { code });
      await eventually(async () => {
        const { rowCount } = await owner.query(
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE orders.promotion SET code%'",
        );
        return rowCount === 1;
      });
      await first.query('COMMIT');
      const { status, body } = await second;
      assert.deepEqual([status, body.code], [409, 'conflict']);
    } finally {
      await first.query('ROLLBACK');
      first.release();
    }
  });

  it('are made once per idempotency key', async () => {
    const request = { code: `K-${randomUUID()}`, kind: 'amount', value: 5 };
    const key = { 'idempotency-key': randomUUID() };
    const first = await staff.post('/v1/promotions', request, key);
    const again = await staff.at(there).post('/v1/promotions', request, key);
    assert.deepEqual([again.status, again.body], [201, first.body]);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
  });

  it('hold as they were quoted', async () => {
    const { code } = await aPromotion();
    const request = { items: items(2), promo_code: code };
    const { body: quote } = await customer.post('/v1/orders/quote', request);
    const { status, body } = await customer.order({ ...request, quote_token: quote.quote_token });
    assert.deepEqual([status, body.total], [201, quote.total]);
  });

  it('no longer hold once the price or the content is another, and come with a new quote that does', async () => {
    const product = await makeProduct(staff, { price: 500 });
    const request = { items: [{ product_id: product.id, quantity: 1 }] };
    const { body: quote } = await customer.post('/v1/orders/quote', request);
    await staff.patch(`/v1/products/${product.id}`, { price: 600 });
    const refused = await customer.at(there).order({ ...request, quote_token: quote.quote_token });
    assert.deepEqual(
      [refused.status, refused.body.code, refused.body.quote.total],
      [409, 'price_changed', 600],
    );
    const { quote_token } = refused.body.quote;
    const more = await customer.order({ items: [{ product_id: product.id, quantity: 2 }], quote_token });
    assert.deepEqual([more.status, more.body.quote.total], [409, 1_200]);
    const placed = await customer.order({ ...request, quote_token });
    assert.deepEqual([placed.status, placed.body.total], [201, 600]);
  });

  it('no longer hold once their promotion is switched off, and come with a quote that says so', async () => {
    const { id, code } = await aPromotion();
    const request = { items: items(2), promo_code: code };
    const { body: quote } = await customer.post('/v1/orders/quote', request);
    await staff.patch(`/v1/promotions/${id}`, { active: false });
    const { status, body } = await customer.order({ ...request, quote_token: quote.quote_token });
    assert.deepEqual([status, body.code], [409, 'price_changed']);
    assert.deepEqual(body.quote.refused, [{ code, reason: 'inactive' }]);
  });

  it('are worth nothing to another user, or when made up', async () => {
    const neighbour = await makeCaller(tokens, here, { tenant_id: staff.tenant_id });
    const { body: quote } = await neighbour.post('/v1/orders/quote', { items: items() });
    for (const quote_token of [quote.quote_token, 'made.up', 'x']) {
      const { status, body } = await customer.order({ items: items(), quote_token });
      assert.deepEqual([status, body.errors?.[0]?.path], [422, 'quote_token']);
    }
  });
});
