import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant } from '@ragline/postgres/pool';
import { anOrderEvent } from '@ragline/schemas/samples';
import { after, afterEach, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { listDeliveries, storeMessages } from './delivery-store.ts';
import { pruneWebhooks } from './start.ts';
import { openScene, type Scene } from './testing.ts';

type Shown = { id: string; attempt_count: number; attempts: { number: number; answer: string | null }[] };

describe('deliveries of webhooks over REST', function () {
  this.timeout(60_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene();
  });
  afterEach(() => scene.stopAll());
  after(() => scene.close());

  it('have every try with its status and what was answered, in the list and by themselves', async () => {
    const receiver = await scene.aReceiver();
    receiver.answer(() => {
      const number = receiver.received.length;
      return { status: number <= 3 ? 500 : 200, body: `answer ${number}` };
    });
    const { admin, tenant_id, wake } = aTenant();
    const { id } = (await admin('post', '/v1/webhooks', { url: receiver.url })).body;
    await scene.handle([anOrderEvent({ tenant_id })], wake);
    const tried = (tries: number) =>
      eventually(async () => {
        const { data } = (await admin('get', `/v1/webhooks/${id}/deliveries`)).body;
        assert.equal(data[0]?.attempts.length, tries);
        return data[0];
      });
    const first = await tried(3);
    const again = await admin('post', `/v1/webhook-deliveries/${first.id}/redeliver`);
    assert.deepEqual(
      again.body.attempts.map(({ status, answer }: { status: number; answer: null }) => [status, answer]),
      Array(3).fill([500, null]),
    );
    const shown = await tried(4);
    assert.deepEqual(
      shown.attempts.map(({ number, status, answer }: { number: number; status: number; answer: string }) => [
        ...[number, status, answer],
      ]),
      [1, 2, 3, 4].map((number) => [number, number <= 3 ? 500 : 200, `answer ${number}`]),
    );
    assert.deepEqual((await admin('get', `/v1/webhook-deliveries/${shown.id}`)).body, shown);
  });

  it('come with as many tries as one can have, on pages that end before they are too large', async () => {
    const { admin, tenant_id } = aTenant();
    const { id } = (await admin('post', '/v1/webhooks', { url: 'https://1.1.1.1/' })).body;
    await scene.rows(tenant_id, "UPDATE notifications.webhook SET open_until = now() + interval '1 hour'");
    const count = 5;
    await scene.handle(Array.from({ length: count }, () => anOrderEvent({ tenant_id })));
    // Asked for again until it was tried a hundred times, and then by the schedule once more.
    const tries = 107;
    await scene.rows(
      tenant_id,
      `INSERT INTO notifications.webhook_attempt (tenant_id, delivery_id, number, at, duration_ms, status, answer)
       SELECT tenant_id, id, number, now(), 10, 500, repeat('x', 4096)
         FROM notifications.webhook_delivery, generate_series(1, ${tries}) number`,
    );
    const found: Shown[] = [];
    const sizes: number[] = [];
    for (let cursor = ''; ; ) {
      const path = `/v1/webhooks/${id}/deliveries?limit=${count}${cursor && `&cursor=${cursor}`}`;
      const { body } = await admin('get', path);
      found.push(...body.data);
      sizes.push(body.data.length);
      if (body.next_cursor === null) break;
      cursor = body.next_cursor;
    }
    assert.deepEqual(sizes, [2, 2, 1]);
    assert.equal(new Set(found.map((it) => it.id)).size, count);
    for (const { attempts } of found) {
      assert.deepEqual([attempts.length, attempts.at(-1)?.number], [tries, tries]);
      assert.ok(attempts.every(({ answer }) => answer?.length === 4_096));
    }
  });

  it('are tried not before the end of a pause, and the webhook says when that is', async () => {
    const { admin, tenant_id } = aTenant();
    const { id, paused_until } = (await admin('post', '/v1/webhooks', { url: 'https://1.1.1.1/' })).body;
    assert.equal(paused_until, null);
    const until = new Date(Date.now() + 3_600_000).toISOString();
    await scene.rows(tenant_id, 'UPDATE notifications.webhook SET open_until = $1', [until]);
    const tested = (await admin('post', `/v1/webhooks/${id}/test`)).body;
    assert.deepEqual([tested.state, tested.next_attempt_at], ['waiting', until]);
    assert.equal((await admin('get', `/v1/webhooks/${id}`)).body.paused_until, until);
    assert.equal((await admin('patch', `/v1/webhooks/${id}`, { active: false })).body.paused_until, null);
    await scene.rows(
      tenant_id,
      "UPDATE notifications.webhook SET open_until = now() - interval '1 hour', active = true",
    );
    assert.equal((await admin('get', `/v1/webhooks/${id}`)).body.paused_until, null);
  });

  it('removes one at once for everybody, and its deliveries bit by bit', async () => {
    const receiver = await scene.aReceiver();
    const { admin, tenant_id, wake, tracedDeliveries } = aTenant();
    const { id } = (await admin('post', '/v1/webhooks', { url: receiver.url })).body;
    const events = Array.from({ length: 3 }, () => anOrderEvent({ tenant_id }));
    await scene.handle(events, wake);
    const deliveries = await eventually(async () => {
      const { data } = (await admin('get', `/v1/webhooks/${id}/deliveries?state=delivered`)).body;
      assert.equal(data.length, 3);
      return data;
    });
    assert.equal((await admin('delete', `/v1/webhooks/${id}`)).status, 204);
    const count = async (table: string) =>
      (await scene.rows(tenant_id, `SELECT FROM notifications.${table}`)).length;
    // Nothing that grows with the deliveries is done while the caller waits.
    assert.deepEqual([await count('webhook_secret'), await count('webhook_delivery')], [0, 3]);
    for (const [method, path] of [
      ['delete', `/v1/webhooks/${id}`],
      ['post', `/v1/webhooks/${id}/test`],
      ['get', `/v1/webhooks/${id}/deliveries`],
      ['get', `/v1/webhook-deliveries/${deliveries[0].id}`],
      ['post', `/v1/webhook-deliveries/${deliveries[0].id}/redeliver`],
    ] as const) {
      assert.equal((await admin(method, path)).status, 404, `${method} ${path}`);
    }
    assert.deepEqual((await admin('get', '/v1/webhooks')).body.data, []);
    assert.deepEqual(await tracedDeliveries(events[0]?.event_id ?? '', tenant_id), []);
    assert.deepEqual(await scene.handle([anOrderEvent({ tenant_id })], wake), ['ignored']);
    await scene.pool.query('SELECT notifications.prune_webhooks(30, 2)');
    assert.deepEqual([await count('webhook'), await count('webhook_delivery')], [1, 1]);
    await pruneWebhooks(scene.pool, 30);
    const left = [await count('webhook'), await count('webhook_delivery'), await count('webhook_attempt')];
    assert.deepEqual(left, [0, 0, 0]);
  });

  it('forgets what is older than it is kept, however much it is', async () => {
    const { admin, tenant_id } = aTenant();
    await admin('post', '/v1/webhooks', { url: 'https://1.1.1.1/', active: true });
    await scene.rows(tenant_id, "UPDATE notifications.webhook SET open_until = now() + interval '1 hour'");
    await scene.handle(Array.from({ length: 3 }, () => anOrderEvent({ tenant_id })));
    await scene.rows(
      tenant_id,
      `UPDATE notifications.webhook_message SET created_at = now() - interval '31 days'
        WHERE id <> (SELECT max(id::text)::uuid FROM notifications.webhook_message)`,
    );
    assert.equal(await pruneWebhooks(scene.pool, 30), 4);
    const left = await scene.rows(tenant_id, 'SELECT FROM notifications.webhook_delivery');
    assert.equal(left.length, 1);
  });

  it('finds failed deliveries without looking at the others', async () => {
    const { app } = scene.start();
    const { tenant_id } = scene.aTenant(app);
    const plan = await inTenant(scene.pool, tenant_id, async (client) => {
      // In a table this small everything is cheap: what could be used at all is asked for.
      for (const way of ['seqscan', 'bitmapscan', 'sort'])
        await client.query(`SET LOCAL enable_${way} = off`);
      const page = { state: 'failed', before: undefined, limit: 10 } as const;
      await listDeliveries(client, tenant_id, randomUUIDv7(), page);
      const { rows } = await client.query<{ statement: string }>(
        "SELECT statement FROM pg_prepared_statements WHERE name = 'webhooks_list_deliveries_failed'",
      );
      assert.match(rows[0]?.statement ?? '', /state = 'failed'/);
      const explained = await client.query(
        `EXPLAIN (FORMAT JSON) EXECUTE webhooks_list_deliveries_failed('${tenant_id}', '${tenant_id}', NULL, 10)`,
      );
      return JSON.stringify(explained.rows);
    });
    assert.match(plan, /webhook_delivery_failed/);
  });

  it('says of no delivery that it was stored where its endpoint is no more', async () => {
    const tenant_id = randomUUIDv7();
    const message = {
      ...{ tenant_id, event_id: randomUUIDv7(), event_type: 'webhook_test', body: '{}', traceparent: '' },
      ...{ occurred_at: new Date().toISOString(), webhook_ids: [randomUUIDv7()] },
    };
    assert.deepEqual(await inTenant(scene.pool, tenant_id, (client) => storeMessages(client, [message])), []);
  });

  it('tells an event’s path to its tenant and to operators, without URLs', async () => {
    const receiver = await scene.aReceiver();
    const { admin, tenant_id, wake, tracedDeliveries } = aTenant();
    await admin('post', '/v1/webhooks', { url: receiver.url });
    const event = anOrderEvent({ tenant_id });
    await scene.handle([event], wake);
    await eventually(async () => {
      const [found] = await tracedDeliveries(event.event_id, tenant_id);
      assert.deepEqual([found?.state, found?.attempts, found?.last_status], ['delivered', 1, 204]);
    });
    const all = await tracedDeliveries(event.event_id, undefined);
    assert.equal(all.length, 1);
    assert.ok(!JSON.stringify(all).includes(receiver.url));
    assert.deepEqual(await tracedDeliveries(event.event_id, randomUUIDv7()), []);
  });

  function aTenant(changes: Parameters<Scene['start']>[0] = {}) {
    const instance = scene.start(changes);
    return { ...instance, ...scene.aTenant(instance.app) };
  }
});
