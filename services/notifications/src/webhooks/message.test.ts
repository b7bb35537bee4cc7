import assert from 'node:assert/strict';
import { anOrderEvent } from '@ragline/schemas/samples';
import { describe, it } from 'mocha';
import { Webhook } from 'standardwebhooks';
import { createSecretKeys, newSecret } from './keys.ts';
import { bodyBytesMax, bodyOf, headersOf, testBodyOf } from './message.ts';

describe('the message of a webhook', () => {
  it('is signed as the public test vector of the specification says', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const at = new Date(1_614_265_330_000);
    const headers = headersOf('msg_p5jXN8AQM9LWM0D4loKWxJek', at, '{"test": 2432232314}', [secret]);
    assert.equal(headers['webhook-timestamp'], '1614265330');
    assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it('is verified with any secret that is good, and with no other', () => {
    const [present, before, other] = [newSecret(), newSecret(), newSecret()];
    const body = bodyOf(anOrderEvent());
    const headers = headersOf('id', new Date(), body, [present, before]);
    for (const secret of [present, before]) new Webhook(secret).verify(body, headers);
    assert.throws(() => new Webhook(other).verify(body, headers));
    assert.throws(() => new Webhook(present).verify(`${body} `, headers));
  });

  it('has the event as it is on Kafka, in the form of the specification', () => {
    const event = anOrderEvent();
    const body = JSON.parse(bodyOf(event));
    assert.deepEqual(body, { type: 'order_created', timestamp: event.occurred_at, data: event });
    const at = new Date(0);
    const test = JSON.parse(testBodyOf({ event_id: 'e', tenant_id: 't', webhook_id: 'w', at }));
    assert.deepEqual(
      [test.type, test.timestamp, test.data.webhook_id],
      ['webhook_test', at.toISOString(), 'w'],
    );
  });

  it('is bounded: of an order that is too large only the items are left out', () => {
    const event = anOrderEvent();
    const [item] = event.order.items;
    assert.ok(item);
    const items = Array.from({ length: 200 }, () => ({ ...item, name: 'x'.repeat(4_000) }));
    const body = bodyOf({ ...event, order: { ...event.order, items } });
    assert.ok(Buffer.byteLength(body) < bodyBytesMax);
    const { order } = JSON.parse(body).data;
    assert.deepEqual([order.items, order.items_omitted, order.total], [[], 200, event.order.total]);
  });
});

describe('secrets of webhooks', () => {
  const [old, next] = [`1:${'a'.repeat(32)}`, `2:${'b'.repeat(32)}`];

  it('have 32 random bytes, in the form of the specification', () => {
    const secret = newSecret();
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.notEqual(secret, newSecret());
  });
  it('are not readable where they are kept, and open for their row alone', () => {
    const keys = createSecretKeys(old);
    const secret = newSecret();
    const sealed = keys.seal(secret, 'row');
    assert.ok(!sealed.includes(secret.slice(6, 20)));
    assert.equal(keys.open(sealed, 'row'), secret);
    assert.throws(() => keys.open(sealed, 'another row'));
    assert.throws(() => createSecretKeys(`1:${'c'.repeat(32)}`).open(sealed, 'row'));
  });
  it('open by the key before as long as it is there', () => {
    const sealed = createSecretKeys(old).seal('secret', 'row');
    assert.equal(createSecretKeys(`${next},${old}`).open(sealed, 'row'), 'secret');
    assert.match(createSecretKeys(`${next},${old}`).seal('secret', 'row'), /^2:/);
    assert.throws(() => createSecretKeys(next).open(sealed, 'row'), /no key 1/);
  });
});
