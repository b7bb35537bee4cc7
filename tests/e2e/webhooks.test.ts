/** An order's way to a tenant's own system: registered through the gateway, signed, verified, sent once more. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { Webhook } from 'standardwebhooks';
import { http, placeOrder, tokenOf } from '../security/scene.ts';
import { eventually } from '../support/eventually.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const admin = 'admin@acme';

describe('webhooks through the gateway', function () {
  this.timeout(90_000);
  let receiver: Receiver;
  let webhook: { id: string; secret: string };

  before(async () => {
    receiver = await startReceiver();
    const body = { url: receiver.url, event_types: ['order_created'] };
    webhook = await ask('POST', '/v1/webhooks', 201, body);
  });
  after(async () => {
    if (webhook !== undefined) await ask('DELETE', `/v1/webhooks/${webhook.id}`, 204);
    await receiver?.stop();
  });

  it('deliver an order, signed, again after failures, and once more when they are asked to', async () => {
    const began = new Date().toISOString();
    // The first two tries of what happens from now on fail; what was before would only open the breaker.
    receiver.answer(({ headers, body }) => {
      const tries = receiver.received.filter(
        (it) => it.headers['webhook-id'] === headers['webhook-id'],
      ).length;
      return { status: JSON.parse(body).timestamp >= began && tries <= 2 ? 500 : 200, body: 'received' };
    });
    const order = await placeOrder('customer@acme');
    const requests = () => receiver.received.filter(({ body }) => body.includes(order.id));
    const delivery = await eventually(
      async () => {
        const { data } = await ask('GET', `/v1/webhooks/${webhook.id}/deliveries`, 200);
        const id = requests()[0]?.headers['webhook-id'];
        const found = data.find((it: { id: string }) => it.id === id);
        const seen = data.map((it: { state: string; attempt_count: number }) => [it.state, it.attempt_count]);
        assert.equal(found?.state, 'delivered', `${requests().length} requests; ${JSON.stringify(seen)}`);
        return found;
      },
      { withinMs: 40_000, everyMs: 100 },
    );
    assert.deepEqual(
      delivery.attempts.map(({ status }: { status: number }) => status),
      [500, 500, 200],
    );
    assert.equal(delivery.attempts[2].answer, 'received');
    assert.equal(requests().length, 3);
    for (const { body, headers } of requests()) {
      const verified = new Webhook(webhook.secret).verify(body, headers);
      const { type, data } = Object(verified);
      assert.deepEqual(
        [type, data.event_id, data.order.id, data.tenant_id, headers['webhook-id']],
        ['order_created', delivery.event_id, order.id, order.tenant_id, delivery.id],
      );
    }

    await ask('POST', `/v1/webhook-deliveries/${delivery.id}/redeliver`, 202);
    await eventually(() => assert.equal(requests().length, 4));
    assert.equal(requests()[3]?.headers['webhook-id'], delivery.id);

    const trace = await ask('GET', `/v1/events/${delivery.event_id}/trace`, 200);
    const [traced] = trace.webhooks;
    assert.deepEqual([traced.webhook_id, traced.delivery_id], [webhook.id, delivery.id]);
    assert.ok(trace.groups.some(({ group }: { group: string }) => group === 'webhooks'));
  });

  // biome-ignore lint/suspicious/noExplicitAny: as in tests/support/http.ts.
  async function ask(method: string, path: string, status: number, body?: object): Promise<any> {
    const token = await tokenOf(admin);
    const answer = await http(method, path, { token, ...(body === undefined ? {} : { body }) });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    return answer.body;
  }
});
