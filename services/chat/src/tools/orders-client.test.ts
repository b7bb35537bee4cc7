import assert from 'node:assert/strict';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, afterEach, before, describe, it } from 'mocha';
import { type FakeOrders, startFakeOrders } from '../../../../tests/support/fake-orders.ts';
import { type DelegatedTokens, delegatedTokens } from './delegated-tokens.ts';
import { createOrdersClient, type OrdersClient } from './orders-client.ts';
import { OrdersError } from './orders-error.ts';

const me = { tenant_id: 'tenant', user_id: 'me' };
const basket = { items: [{ product_id: 'pizza', quantity: 1 }] };

describe('calling orders in a customer’s name', () => {
  let fake: FakeOrders;
  let clockMs = 0;
  let tokens: DelegatedTokens;
  let client: OrdersClient;
  const metrics = createMetrics({ service: 'chat' });

  before(async () => {
    fake = await startFakeOrders();
    fake.price('pizza', 950);
    tokens = delegatedTokens({ identityUrl: fake.url, secret: 's', timeoutMs: 1_000, now: () => clockMs });
    client = createOrdersClient({ urls: [fake.url], tokens, timeoutMs: 1_000, metrics });
  });
  after(async () => {
    client?.stop();
    await fake?.stop();
  });
  afterEach(() => fake.faults(() => undefined));

  const refusal = (code: string, retriable: boolean) => (error: unknown) =>
    error instanceof OrdersError && error.code === code && error.retriable === retriable;

  it('asks for a token once until shortly before it ends, however many calls there are', async () => {
    const made = fake.tokensMade();
    await Promise.all([client.quote(me, basket), client.quote(me, basket), client.quote(me, basket)]);
    clockMs += 49_000;
    await client.quote(me, basket);
    assert.equal(fake.tokensMade(), made + 1);
    clockMs += 2_000;
    await client.quote(me, basket);
    assert.equal(fake.tokensMade(), made + 2);
  });

  it('asks anew for an order, so that the user may still act', async () => {
    const { quote_token } = await client.quote(me, basket);
    const made = fake.tokensMade();
    await client.place(me, JSON.stringify({ ...basket, quote_token }), 'a key');
    assert.equal(fake.tokensMade(), made + 1);
    fake.disable('gone');
    await assert.rejects(client.quote({ ...me, user_id: 'gone' }, basket), refusal('forbidden', false));
  });

  it('keeps users and tenants apart', async () => {
    const token = await tokens.tokenOf(me);
    assert.notEqual(await tokens.tokenOf({ ...me, user_id: 'other' }), token);
    const made = fake.tokensMade();
    await tokens.tokenOf({ ...me, tenant_id: 'elsewhere' });
    assert.equal(fake.tokensMade(), made + 1);
  });

  it('tells an answer from the lack of one', async () => {
    const missing = { items: [{ product_id: 'nothing', quantity: 1 }] };
    await assert.rejects(client.quote(me, missing), refusal('not_available', false));
    fake.faults(() => 503);
    await assert.rejects(client.quote(me, basket), refusal('unavailable', true));
    fake.faults(() => 'lose');
    await assert.rejects(client.quote(me, basket), refusal('orders_unavailable', true));
  });

  it('ends with its turn', async () => {
    const controller = new AbortController();
    fake.faults(() => 'late');
    const calling = client.quote({ ...me, signal: controller.signal }, basket);
    controller.abort(new Error('stopped'));
    await assert.rejects(calling, /stopped/);
    fake.release();
  });

  it('does not ask any more while most calls fail, and heals', async () => {
    const own = createOrdersClient({
      urls: [fake.url],
      tokens,
      timeoutMs: 1_000,
      metrics,
      breakerOpenMs: 30,
    });
    try {
      fake.faults(() => 'lose');
      for (let n = 0; n < 6; n++) await own.quote(me, basket).catch(() => {});
      assert.equal(own.state(), 'open');
      const asked = fake.requests.length;
      await assert.rejects(own.quote(me, basket), refusal('orders_unavailable', true));
      assert.equal(fake.requests.length, asked);
      fake.faults(() => undefined);
      const deadline = Date.now() + 5_000;
      while (own.state() !== 'closed' && Date.now() < deadline) {
        await own.quote(me, basket).catch(() => {});
        await new Promise(setImmediate);
      }
      assert.equal(own.state(), 'closed');
    } finally {
      own.stop();
    }
  });

  it('asks another instance when one cannot be reached', async () => {
    const urls = ['http://127.0.0.1:1', fake.url];
    const own = createOrdersClient({ urls, tokens, timeoutMs: 1_000, metrics });
    for (let n = 0; n < 8; n++) assert.equal((await own.quote(me, basket)).total, 950);
    own.stop();
  });

  it('is not put off by those who go before they have an answer', async () => {
    const own = createOrdersClient({ urls: [fake.url], tokens, timeoutMs: 1_000, metrics });
    for (let n = 0; n < 8; n++) {
      await assert.rejects(
        own.quote({ ...me, signal: AbortSignal.abort(new Error('gone')) }, basket),
        /gone/,
      );
    }
    assert.equal(own.state(), 'closed');
    own.stop();
  });

  it('is not put off by refusals: they are answers', async () => {
    const own = createOrdersClient({ urls: [fake.url], tokens, timeoutMs: 1_000, metrics });
    for (let n = 0; n < 8; n++) {
      await own.quote(me, { items: [{ product_id: 'nothing', quantity: 1 }] }).catch(() => {});
    }
    assert.equal(own.state(), 'closed');
    own.stop();
  });
});
