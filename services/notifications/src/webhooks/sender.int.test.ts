import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { anOrderEvent } from '@ragline/schemas/samples';
import { after, afterEach, before, describe, it } from 'mocha';
import { Webhook } from 'standardwebhooks';
import { eventually } from '../../../../tests/support/eventually.ts';
import { stack } from '../../../../tests/support/stack.ts';
import type { Encode } from '../outbox.ts';
import { claimDue, markDelivered } from './claim.ts';
import { openScene, type Scene, testEnv } from './testing.ts';

describe('the sender of webhooks', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  afterEach(() => scene.stopAll());
  after(() => scene.close());

  it('posts an event, signed as the public package verifies it, and writes down what was answered', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 202, body: `thanks\0${'x'.repeat(10_000)}` });
    const { id, tenant_id, secret } = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start();
    const event = anOrderEvent({ tenant_id });
    assert.deepEqual(await scene.handle([event], wake), ['stored']);
    const [delivery] = await settled(tenant_id, id, 1);
    const [request] = receiver.received;
    assert.ok(request && delivery);
    const verified = new Webhook(secret).verify(request.body, request.headers);
    assert.deepEqual(verified, { type: 'order_created', timestamp: event.occurred_at, data: event });
    assert.equal(request.headers['webhook-id'], delivery.id);
    assert.equal(request.headers['content-type'], 'application/json');
    assert.equal(delivery.state, 'delivered');
    const [{ status, error_code, answer }] = delivery.attempts;
    assert.deepEqual([status, error_code, Buffer.byteLength(answer)], [202, null, 4_096]);
  });

  it('tries again after 500s, under the same id and with a new signature each time', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer(() => ({ status: receiver.received.length < 3 ? 500 : 200 }));
    const { id, tenant_id, secret } = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start();
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const [delivery] = await settled(tenant_id, id, 1);
    assert.deepEqual(
      delivery?.attempts.map(({ number, status, error_code }) => [number, status, error_code]),
      [
        [1, 500, 'status'],
        [2, 500, 'status'],
        [3, 200, null],
      ],
    );
    for (const { headers, body } of receiver.received) {
      assert.equal(headers['webhook-id'], delivery?.id);
      new Webhook(secret).verify(body, headers);
    }
  });

  it('gives a delivery up after the last try', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 404 });
    const { id, tenant_id } = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start();
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const [delivery] = await settled(tenant_id, id, 1);
    assert.deepEqual([delivery?.state, delivery?.attempts.length], ['failed', 3]);
  });

  it('delays no other by one endpoint that hangs, and none of its own beyond its places', async () => {
    const [hanging, other] = [await scene.aReceiver(), await scene.aReceiver()];
    hanging.answer('hang');
    const bad = await scene.anEndpoint(hanging.url);
    const good = await scene.anEndpoint(other.url);
    // Two instances: the places of an endpoint are counted over both.
    const [{ wake }] = [scene.start({ perEndpoint: 2 }), scene.start({ perEndpoint: 2 })];
    const of = (tenant_id: string) => Array.from({ length: 20 }, () => anOrderEvent({ tenant_id }));
    await scene.handle(of(bad.tenant_id), wake);
    await eventually(() => assert.equal(hanging.received.length, 2));
    await scene.handle(of(good.tenant_id), wake);
    const deliveries = await settled(good.tenant_id, good.id, 20);
    assert.ok(deliveries.every(({ state }) => state === 'delivered'));
    assert.equal(hanging.received.length, 2);
  });

  it('leaves one try at a time to an endpoint that fails, and goes on with all once it answers', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 500 });
    const { id, tenant_id } = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start({ delaysMs: [10, 10, 10, 10, 10, 10] });
    const events = Array.from({ length: 10 }, () => anOrderEvent({ tenant_id }));
    await scene.handle(events, wake);
    const open = await eventually(async () => {
      const [row] = await scene.rows<{ failures: number; open: boolean }>(
        tenant_id,
        'SELECT failures, open_until > clock_timestamp() AS open FROM notifications.webhook WHERE id = $1',
        [id],
      );
      assert.ok(row?.open);
      return row;
    });
    assert.ok(open.failures >= 5);
    const before = await eventually(async () => {
      const [row] = await scene.rows<{ count: number }>(
        tenant_id,
        'SELECT count(*) AS count FROM notifications.webhook_delivery WHERE webhook_id = $1 AND claim IS NOT NULL',
        [id],
      );
      assert.equal(row?.count, 0);
      return receiver.received.length;
    });
    receiver.answer({ status: 200 });
    await scene.rows(
      tenant_id,
      'UPDATE notifications.webhook SET open_until = clock_timestamp() WHERE id = $1',
      [id],
    );
    wake();
    const deliveries = await settled(tenant_id, id, 10);
    assert.ok(deliveries.every(({ state }) => state === 'delivered'));
    assert.equal(receiver.received.length, before + 10);
  });

  it('stops at 410 for good, and tells the tenant’s staff', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 410 });
    const { id, tenant_id } = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start();
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    await settled(tenant_id, id, 1);
    assert.deepEqual(await endpointOf(tenant_id, id), { active: false, disabled_reason: 'gone' });
    const notices = await scene.rows(
      tenant_id,
      `SELECT audience, kind, title FROM notifications.notification WHERE kind = 'webhook_disabled'`,
    );
    const title = 'Webhook to 127.0.0.1 was disabled: it answered 410 Gone';
    assert.deepEqual(notices, [{ audience: 'staff', kind: 'webhook_disabled', title }]);
    const published = await scene.rows(tenant_id, 'SELECT type FROM notifications.outbox');
    assert.deepEqual(published, [{ type: 'notification_created' }]);
    // Who is switched off is told nothing more.
    assert.deepEqual(await scene.handle([anOrderEvent({ tenant_id })], wake), ['ignored']);
  });

  it('writes down what was answered also where the staff cannot be told, and disables with a later try', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 410 });
    const { id, tenant_id } = await scene.anEndpoint(receiver.url);
    let isAway = true;
    const encode: Encode = (event) => Buffer.from(JSON.stringify(event));
    const encoder = () => (isAway ? Promise.reject(new Error('no registry')) : Promise.resolve(encode));
    const { wake } = scene.start({}, { encoder });
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const [delivery] = await settled(tenant_id, id, 1);
    assert.deepEqual([delivery?.state, delivery?.attempts.length], ['failed', 1]);
    assert.deepEqual(await endpointOf(tenant_id, id), { active: true, disabled_reason: null });
    isAway = false;
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    await settled(tenant_id, id, 2);
    assert.deepEqual(await endpointOf(tenant_id, id), { active: false, disabled_reason: 'gone' });
    const notices = await scene.rows(tenant_id, 'SELECT FROM notifications.notification');
    assert.equal(notices.length, 1);
  });

  it('disables what has failed for days, and what only ever is given up', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 500 });
    const old = await scene.anEndpoint(receiver.url);
    await scene.rows(
      old.tenant_id,
      `UPDATE notifications.webhook SET failures = 1, failing_since = now() - interval '6 days' WHERE id = $1`,
      [old.id],
    );
    const busy = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start({ delaysMs: [], disableAfterExhausted: 3 });
    await scene.handle([anOrderEvent({ tenant_id: old.tenant_id })], wake);
    const { tenant_id } = busy;
    await scene.handle(
      [anOrderEvent({ tenant_id }), anOrderEvent({ tenant_id }), anOrderEvent({ tenant_id })],
      wake,
    );
    await settled(old.tenant_id, old.id, 1);
    await settled(tenant_id, busy.id, 3);
    assert.deepEqual(await endpointOf(old.tenant_id, old.id), { active: false, disabled_reason: 'failing' });
    assert.deepEqual(await endpointOf(tenant_id, busy.id), { active: false, disabled_reason: 'exhausted' });
  });

  it('waits as long as a receiver asks for', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer({ status: 429, headers: { 'retry-after': '60' } });
    const { id, tenant_id } = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start();
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    await eventually(async () => {
      const [row] = await scene.rows<{ delivery: number; endpoint: number }>(
        tenant_id,
        `SELECT extract(epoch FROM d.next_at - now())::int AS delivery, extract(epoch FROM w.open_until - now())::int AS endpoint
           FROM notifications.webhook w JOIN notifications.webhook_delivery d ON d.webhook_id = w.id WHERE w.id = $1`,
        [id],
      );
      assert.ok(row && row.delivery > 50 && row.endpoint > 50);
    });
    assert.equal(receiver.received.length, 1);
  });

  it('ends by a success neither a pause that was asked for meanwhile, nor what another address has failed', async () => {
    const { tenant_id } = await scene.anEndpoint('https://a.example/');
    await scene.handle([anOrderEvent({ tenant_id })]);
    const claim = randomUUIDv7();
    const options = { claim, max: 100, perEndpoint: 10, openAfter: 5, leaseMs: 60_000, perTenant: 100 };
    const due = await claimDue(scene.pool, options);
    // Whatever else other tests have left waiting.
    const claimed = due.find((row) => row.tenant_id === tenant_id);
    assert.ok(claimed);
    const succeed = () =>
      markDelivered(scene.pool, [
        {
          ...{ claim, claimed, at: new Date(), durationMs: 1, status: 200, answer: '' },
          ...{ outcome: { kind: 'delivered' }, step: { state: 'delivered' } },
        },
      ]);
    const health = () =>
      scene.rows(
        tenant_id,
        `SELECT failures, extract(epoch FROM open_until - now())::int > 50 AS waits FROM notifications.webhook`,
      );
    const change = (text: string) => scene.rows(tenant_id, `UPDATE notifications.webhook SET ${text}`);
    await change("url = 'https://b.example/', failures = 3, open_until = now() + interval '60 s'");
    await succeed();
    assert.deepEqual(await health(), [{ failures: 3, waits: true }]);
    await change("url = 'https://a.example/'");
    await succeed();
    assert.deepEqual(await health(), [{ failures: 0, waits: true }]);
    await change('open_until = now()');
    await succeed();
    assert.deepEqual(await health(), [{ failures: 0, waits: null }]);
  });

  it('counts a secret that cannot be read as a failed try, and gives up by the schedule', async () => {
    const receiver = await scene.aReceiver();
    const { id, tenant_id } = await scene.anEndpoint(receiver.url);
    const { wake } = scene.start({ keys: '2:another-key-of-the-tests-with-32-characters' });
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const [delivery] = await settled(tenant_id, id, 1);
    assert.equal(delivery?.state, 'failed');
    assert.deepEqual(
      delivery?.attempts.map(({ error_code }) => error_code),
      Array(3).fill('secret_unreadable'),
    );
    assert.equal(receiver.received.length, 0);
  });

  it('waits longer and longer for what is lost each time', async () => {
    const { id, tenant_id } = await scene.anEndpoint('https://a.example/');
    await scene.handle([anOrderEvent({ tenant_id })]);
    const claims = async () =>
      (
        await scene.rows(
          tenant_id,
          `SELECT * FROM notifications.claim_webhooks(gen_random_uuid(), 100, 10, 5, 0, 100) WHERE webhook_id = $1`,
          [id],
        )
      ).length;
    const found: number[] = [];
    for (let i = 0; i < 6; i += 1) found.push(await claims());
    assert.deepEqual(found, [1, 1, 1, 1, 1, 0]);
    await scene.rows(
      tenant_id,
      `UPDATE notifications.webhook_delivery SET claimed_until = claimed_until - interval '5 minutes' WHERE webhook_id = $1`,
      [id],
    );
    assert.equal(await claims(), 1);
    await scene.rows(tenant_id, 'DELETE FROM notifications.webhook_delivery WHERE webhook_id = $1', [id]);
  });

  it('has a part of the places alone for one tenant, however many endpoints it has', async () => {
    const tenant_id = randomUUIDv7();
    for (const name of ['a', 'b', 'c']) await scene.anEndpoint(`https://${name}.example/`, tenant_id);
    const other = await scene.anEndpoint('https://d.example/');
    await scene.handle([anOrderEvent({ tenant_id }), anOrderEvent({ tenant_id })]);
    await scene.handle([anOrderEvent({ tenant_id: other.tenant_id })]);
    const claims = async () => {
      const rows = await scene.rows<{ tenant_id: string }>(
        tenant_id,
        'SELECT tenant_id FROM notifications.claim_webhooks(gen_random_uuid(), 100, 10, 5, 60000, 4)',
      );
      return [tenant_id, other.tenant_id].map((of) => rows.filter((row) => row.tenant_id === of).length);
    };
    assert.deepEqual(await claims(), [4, 1]);
    assert.deepEqual(await claims(), [0, 0]);
    for (const tenant of [tenant_id, other.tenant_id])
      await scene.rows(tenant, 'DELETE FROM notifications.webhook_delivery');
  });

  it('stores an event once, for those alone who want it and were there when it happened', async () => {
    const tenant_id = randomUUIDv7();
    const wants = await scene.anEndpoint('https://a.example/', tenant_id, ['order_created']);
    const other = await scene.anEndpoint('https://b.example/', tenant_id, ['order_cancelled']);
    await scene.anEndpoint('https://c.example/');
    const event = anOrderEvent({ tenant_id });
    const early = anOrderEvent({ tenant_id, occurred_at: new Date(Date.now() - 120_000).toISOString() });
    assert.deepEqual(await scene.handle([event, early]), ['stored', 'ignored']);
    assert.deepEqual(await scene.handle([event]), ['duplicate']);
    const rows = await scene.rows(tenant_id, 'SELECT webhook_id FROM notifications.webhook_delivery');
    assert.deepEqual(rows, [{ webhook_id: wants.id }]);
    assert.notEqual(other.id, wants.id);
  });

  it('sends again, under the same id, what a process had in hand when it was killed', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer('hang');
    const { id, tenant_id } = await scene.anEndpoint(receiver.url);
    const url = new URL(stack().databaseUrlOf('ragline_notifications'));
    url.pathname = `/${scene.database.name}`;
    const program = join(import.meta.dirname, 'killed.process.ts');
    const killed = spawn(process.execPath, [program, url.href], {
      env: { ...process.env, ...testEnv },
      stdio: 'ignore',
    });
    try {
      await scene.handle([anOrderEvent({ tenant_id })]);
      await eventually(() => assert.equal(receiver.received.length, 1), { withinMs: 20_000 });
    } finally {
      killed.kill('SIGKILL');
    }
    receiver.answer({ status: 200 });
    scene.start();
    const [delivery] = await settled(tenant_id, id, 1);
    assert.deepEqual(
      delivery?.attempts.map(({ error_code }) => error_code),
      ['interrupted', null],
    );
    assert.deepEqual(
      receiver.received.map(({ headers }) => headers['webhook-id']),
      [delivery?.id, delivery?.id],
    );
  });

  type Settled = {
    id: string;
    state: string;
    attempts: [{ number: number; status: number; error_code: string; answer: string }];
  };

  /** The endpoint's deliveries, once so many have come to an end. */
  async function settled(tenantId: string, id: string, count: number): Promise<Settled[]> {
    return eventually(
      async () => {
        const rows = await scene.rows<Settled>(
          tenantId,
          `SELECT d.id, d.state, (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.number)
                                    FROM notifications.webhook_attempt a WHERE a.delivery_id = d.id) AS attempts
             FROM notifications.webhook_delivery d WHERE d.webhook_id = $1 AND d.state <> 'waiting'`,
          [id],
        );
        assert.equal(rows.length, count);
        return rows;
      },
      { withinMs: 15_000 },
    );
  }

  async function endpointOf(tenantId: string, id: string) {
    const [row] = await scene.rows(
      tenantId,
      'SELECT active, disabled_reason FROM notifications.webhook WHERE id = $1',
      [id],
    );
    return row;
  }
});
