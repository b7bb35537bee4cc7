import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { inTenant } from '@ragline/postgres/pool';
import { anOrderEvent } from '@ragline/schemas/samples';
import { after, afterEach, before, describe, it } from 'mocha';
import { Webhook } from 'standardwebhooks';
import { eventually } from '../../../../tests/support/eventually.ts';
import { openScene, type Scene } from './testing.ts';

describe('REST of webhooks', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  afterEach(() => scene.stopAll());
  after(() => scene.close());

  it('makes one, whose secret it shows once, and lists, changes and removes it', async () => {
    const { admin } = aTenant();
    const made = await admin('post', '/v1/webhooks', {
      url: 'https://1.1.1.1/a',
      event_types: ['order_created'],
    });
    assert.equal(made.status, 201);
    const { secret, ...webhook } = made.body;
    assert.match(secret, /^whsec_/);
    assert.equal(made.headers.location, `/v1/webhooks/${webhook.id}`);
    assert.deepEqual((await admin('get', '/v1/webhooks')).body, { data: [webhook], next_cursor: null });
    assert.deepEqual((await admin('get', `/v1/webhooks/${webhook.id}`)).body, webhook);
    const change = { event_types: ['*'], description: 'till', active: false };
    const changed = await admin('patch', `/v1/webhooks/${webhook.id}`, change);
    assert.deepEqual({ ...changed.body, updated_at: '' }, { ...webhook, ...change, updated_at: '' });
    assert.equal((await admin('delete', `/v1/webhooks/${webhook.id}`)).status, 204);
    assert.equal((await admin('get', `/v1/webhooks/${webhook.id}`)).status, 404);
  });

  it('keeps no secret that can be read, neither with the webhook nor with the answer for a repetition', async () => {
    const { admin, tenant_id } = aTenant();
    const body = { url: 'https://1.1.1.1/' };
    const key = { 'idempotency-key': randomUUID() };
    const first = await admin('post', '/v1/webhooks', body, key);
    const again = await admin('post', '/v1/webhooks', body, key);
    assert.deepEqual([again.status, again.body], [201, first.body]);
    assert.equal(again.headers['idempotent-replayed'], 'true');
    assert.equal((await admin('get', '/v1/webhooks')).body.data.length, 1);
    const other = await admin('post', '/v1/webhooks', { url: 'https://1.1.1.1/b' }, key);
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);
    const stored = await scene.rows(
      tenant_id,
      'SELECT sealed AS text FROM notifications.webhook_secret UNION ALL SELECT body::text FROM notifications.idempotency',
    );
    assert.equal(stored.length, 2);
    const bytes = first.body.secret.slice('whsec_'.length);
    assert.ok(!JSON.stringify(stored).includes(bytes));
  });

  it('gives the first answer again, and says what is not for good, while DNS cannot be asked', async () => {
    let isDown = false;
    const resolve = async () => (isDown ? Promise.reject(new Error('SERVFAIL')) : ['1.1.1.1']);
    const { app } = scene.start({}, { resolve });
    const { admin } = scene.aTenant(app);
    const body = { url: 'https://hooks.example/' };
    const key = { 'idempotency-key': randomUUID() };
    const first = await admin('post', '/v1/webhooks', body, key);
    isDown = true;
    const again = await admin('post', '/v1/webhooks', body, key);
    assert.deepEqual([again.status, again.body], [201, first.body]);
    const other = { 'idempotency-key': randomUUID() };
    const refused = await admin('post', '/v1/webhooks', body, other);
    assert.deepEqual([refused.status, refused.body.code], [503, 'unavailable']);
    const moved = await admin('patch', `/v1/webhooks/${first.body.id}`, body);
    assert.deepEqual([moved.status, moved.body.code], [503, 'unavailable']);
    isDown = false;
    assert.equal((await admin('post', '/v1/webhooks', body, other)).status, 201);
  });

  it('turns pages that neither skip nor repeat', async () => {
    const { admin } = aTenant();
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1)
      ids.push((await admin('post', '/v1/webhooks', { url: 'https://1.1.1.1/' })).body.id);
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await admin('get', `/v1/webhooks?limit=2${cursor}`);
      seen.push(...body.data.map(({ id }: { id: string }) => id));
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    assert.deepEqual(seen, ids.reverse());
  });

  it('has no more of a tenant than it may have, also when many are made at once', async () => {
    const { app } = scene.start({ endpointsMax: 2 });
    const { admin } = scene.aTenant(app);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => admin('post', '/v1/webhooks', { url: 'https://1.1.1.1/' })),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 201, 409, 409, 409]);
    assert.equal(answers.find(({ status }) => status === 409)?.body.code, 'conflict');
  });

  it('signs with the secret before as well, until the overlap is over', async () => {
    const receiver = await scene.aReceiver();
    const { admin, tenant_id, wake } = aTenant();
    const { id, secret: first } = (await admin('post', '/v1/webhooks', { url: receiver.url })).body;
    const rotate = async (body?: object) =>
      (await admin('post', `/v1/webhooks/${id}/rotate-secret`, body)).body.secret;
    const delivered = async () => {
      const count = receiver.received.length;
      await scene.handle([anOrderEvent({ tenant_id })], wake);
      return eventually(() => {
        const request = receiver.received[count];
        assert.ok(request);
        return request;
      });
    };
    const second = await rotate();
    const both = await delivered();
    assert.equal(both.headers['webhook-signature']?.split(' ').length, 2);
    for (const secret of [first, second]) new Webhook(secret).verify(both.body, both.headers);
    const third = await rotate({ overlap_s: 0 });
    const one = await delivered();
    new Webhook(third).verify(one.body, one.headers);
    for (const secret of [first, second])
      assert.throws(() => new Webhook(secret).verify(one.body, one.headers));
  });

  it('sends a test, shows every try, and sends a delivery once more under its own id', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 500, body: 'no' });
    const { admin } = aTenant({ delaysMs: [] });
    const { id } = (
      await admin('post', '/v1/webhooks', { url: receiver.url, event_types: ['order_cancelled'] })
    ).body;
    const asked = await admin('post', `/v1/webhooks/${id}/test`);
    assert.deepEqual(
      [asked.status, asked.body.event_type, asked.body.state],
      [202, 'webhook_test', 'waiting'],
    );
    const failed = await eventually(async () => {
      const { data } = (await admin('get', `/v1/webhooks/${id}/deliveries?state=failed`)).body;
      assert.equal(data.length, 1);
      return data[0];
    });
    assert.deepEqual(
      [failed.id, failed.attempts[0].status, failed.attempts[0].answer],
      [asked.body.id, 500, 'no'],
    );
    receiver.answer({ status: 200 });
    assert.equal((await admin('post', `/v1/webhook-deliveries/${failed.id}/redeliver`)).status, 202);
    const { attempts } = await eventually(async () => {
      const { body } = await admin('get', `/v1/webhook-deliveries/${failed.id}`);
      assert.equal(body.state, 'delivered');
      return body;
    });
    assert.deepEqual(
      attempts.map(({ number, status }: { number: number; status: number }) => [number, status]),
      [
        [1, 500],
        [2, 200],
      ],
    );
    assert.deepEqual(
      receiver.received.map(({ headers }) => headers['webhook-id']),
      [failed.id, failed.id],
    );
    assert.equal(JSON.parse(receiver.received[0]?.body ?? '').type, 'webhook_test');
  });

  it('sends nothing while a webhook is not active, and what waited once it is', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 410 });
    const { admin, tenant_id, wake } = aTenant({ perEndpoint: 1 });
    const { id } = (await admin('post', '/v1/webhooks', { url: receiver.url })).body;
    await scene.handle([anOrderEvent({ tenant_id }), anOrderEvent({ tenant_id })], wake);
    await eventually(async () => {
      assert.equal((await admin('get', `/v1/webhooks/${id}`)).body.disabled_reason, 'gone');
    });
    const { data } = (await admin('get', `/v1/webhooks/${id}/deliveries?state=failed`)).body;
    for (const path of [`/v1/webhooks/${id}/test`, `/v1/webhook-deliveries/${data[0].id}/redeliver`]) {
      const answer = await admin('post', path);
      assert.deepEqual([answer.status, answer.body.code], [409, 'not_available']);
    }
    receiver.answer({ status: 200 });
    const { body } = await admin('patch', `/v1/webhooks/${id}`, { active: true });
    assert.deepEqual([body.active, body.disabled_reason, body.failing_since], [true, null, null]);
    await eventually(async () => {
      const waited = (await admin('get', `/v1/webhooks/${id}/deliveries?state=delivered`)).body.data;
      assert.equal(waited.length, 1);
    });
  });

  it('is another tenant’s to nobody, by REST and by the database itself', async () => {
    const receiver = await scene.aReceiver();
    const { admin, tenant_id, app, wake } = aTenant();
    const { id } = (await admin('post', '/v1/webhooks', { url: receiver.url })).body;
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const deliveryId = await eventually(async () => {
      const { data } = (await admin('get', `/v1/webhooks/${id}/deliveries?state=delivered`)).body;
      return data[0].id;
    });
    const other = scene.aTenant(app);
    for (const [method, path, body] of [
      ['get', `/v1/webhooks/${id}`],
      ['patch', `/v1/webhooks/${id}`, { active: false }],
      ['delete', `/v1/webhooks/${id}`],
      ['post', `/v1/webhooks/${id}/rotate-secret`],
      ['post', `/v1/webhooks/${id}/test`],
      ['get', `/v1/webhooks/${id}/deliveries`],
      ['get', `/v1/webhook-deliveries/${deliveryId}`],
      ['post', `/v1/webhook-deliveries/${deliveryId}/redeliver`],
    ] as const) {
      assert.equal((await other.admin(method, path, body)).status, 404, `${method} ${path}`);
    }
    assert.deepEqual((await other.admin('get', '/v1/webhooks')).body.data, []);
    for (const table of [
      'webhook',
      'webhook_secret',
      'webhook_message',
      'webhook_delivery',
      'webhook_attempt',
    ]) {
      const count = (tenantId: string) =>
        inTenant(
          scene.pool,
          tenantId,
          async (client) =>
            (await client.query(`SELECT FROM notifications.${table} WHERE tenant_id = $1`, [tenant_id]))
              .rowCount,
        );
      assert.deepEqual([await count(tenant_id), await count(other.tenant_id)], [1, 0], table);
    }
  });

  it('is for admins', async () => {
    const { as } = aTenant();
    for (const role of ['customer', 'staff', 'operator']) {
      assert.equal((await as(role)('get', '/v1/webhooks')).status, 403, role);
    }
  });

  const refusals: [string, object][] = [
    ['an event that there is none of', { url: 'https://1.1.1.1/', event_types: ['order_lost'] }],
    ['no event at all', { url: 'https://1.1.1.1/', event_types: [] }],
    ['a field that there is none of', { url: 'https://1.1.1.1/', secret: 'whsec_x' }],
    ['no URL', {}],
    ['a URL without end', { url: `https://1.1.1.1/${'x'.repeat(2_048)}` }],
  ];
  for (const [what, body] of refusals) {
    it(`refuses ${what}`, async () => {
      const { admin } = aTenant();
      const answer = await admin('post', '/v1/webhooks', body);
      assert.deepEqual([answer.status, answer.body.code], [422, 'invalid']);
    });
  }

  function aTenant(changes: Parameters<Scene['start']>[0] = {}) {
    const instance = scene.start(changes);
    return { ...instance, ...scene.aTenant(instance.app) };
  }
});
