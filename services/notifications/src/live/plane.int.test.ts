import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { connect, type Scene, startScene } from './live.scene.ts';

describe('the live plane on a real broker', function () {
  this.timeout(60_000);
  let scene: Scene;
  let one: Awaited<ReturnType<Scene['instance']>>;
  let two: Awaited<ReturnType<Scene['instance']>>;
  const scenes: Scene[] = [];

  const sceneOf = async (options: Parameters<typeof startScene>[0]) => {
    const own = await startScene(options);
    scenes.push(own);
    return own;
  };

  before(async () => {
    scene = await sceneOf({});
    [one, two] = await Promise.all([scene.instance(), scene.instance()]);
  });
  after(async () => {
    for (const it of scenes) await it.stop();
  });

  it('shows an order to its customer and the staff of its tenant on both instances, and to nobody else', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const customer = await connect(one.port, await scene.token({ tenant_id: tenant, user_id: user }), {
      path: '/ws/orders',
    });
    const staff = await connect(two.port, await scene.token({ tenant_id: tenant, roles: ['staff'] }), {
      path: '/ws/orders',
    });
    const other = await connect(two.port, await scene.token({ tenant_id: tenant }), { path: '/ws/orders' });
    const foreign = await connect(one.port, await scene.token({ roles: ['admin'] }), { path: '/ws/orders' });
    for (const client of [customer, staff, other, foreign])
      await client.message((it) => it.type === 'cursor');
    const event = await scene.order({ tenant, user });
    const last = await scene.order({ tenant, user });
    for (const client of [customer, staff]) {
      const message = await client.message((it) => it.id === event.event_id);
      assert.deepEqual(message.data, event);
      assert.equal(message.channel, 'orders');
      assert.equal(message.event_type, 'order_created');
      await client.message((it) => it.id === last.event_id);
      assert.deepEqual(client.events().sort(), [event.event_id, last.event_id].sort());
    }
    assert.deepEqual([...other.events(), ...foreign.events()], []);
    for (const client of [customer, staff, other, foreign]) await client.close();
  });

  it('resumes from a cursor on the other instance, every event once and in order per order', async () => {
    const [tenant, user, order] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const token = await scene.token({ tenant_id: tenant, user_id: user });
    const first = await connect(one.port, token, { path: '/ws/orders' });
    await first.message((it) => it.type === 'cursor');
    const seen = await scene.order({ tenant, user, order });
    await first.message((it) => it.id === seen.event_id);
    const cursor = first.cursor('orders');
    await first.close();
    const missed: string[] = [];
    for (let i = 0; i < 30; i += 1) missed.push((await scene.order({ tenant, user, order })).event_id);
    const second = await connect(two.port, token);
    assert.equal((await second.subscribe('orders', cursor)).type, 'ok');
    const recovered = await second.message((it) => it.type === 'recovered');
    const live = await scene.order({ tenant, user, order });
    await second.message((it) => it.id === live.event_id);
    assert.deepEqual(second.events(), [...missed, live.event_id]);
    assert.equal(recovered.complete, true);
    await second.close();
  });

  it('resumes below the ring from Kafka', async () => {
    const [tenant, user, order] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const small = await scene.instance({ limits: { ringEntries: 20 } });
    const token = await scene.token({ tenant_id: tenant, user_id: user });
    const first = await connect(small.port, token, { path: '/ws/orders' });
    const start = await first.message((it) => it.type === 'cursor');
    await first.close();
    const owed: string[] = [];
    for (let i = 0; i < 60; i += 1) {
      owed.push((await scene.order({ tenant, user, order })).event_id);
      await scene.order({ tenant: randomUUID(), user });
    }
    await eventually(() => small.live.traceOf(owed.at(-1) ?? '') !== undefined);
    assert.equal(small.live.traceOf(owed[0] ?? ''), undefined, 'still in the ring');
    const second = await connect(small.port, token);
    await second.subscribe('orders', start.cursor);
    await second.message((it) => it.type === 'recovered');
    assert.deepEqual(second.events(), owed);
    await eventually(async () =>
      assert.match(await small.metrics.text(), /^ragline_live_resumes_total\{source="kafka".* 1$/m),
    );
    await second.close();
    await small.stop();
  });

  it('shows a conversation to its owner alone, on every instance, without fields that say nothing', async () => {
    const [tenant, user, conversation] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const channel = `conversation:${conversation}`;
    const owner = await connect(one.port, await scene.token({ tenant_id: tenant, user_id: user }));
    const again = await connect(two.port, await scene.token({ tenant_id: tenant, user_id: user }));
    const staff = await connect(two.port, await scene.token({ tenant_id: tenant, roles: ['admin'] }));
    const namesake = await connect(one.port, await scene.token({ user_id: user }));
    for (const client of [owner, again, staff, namesake])
      assert.equal((await client.subscribe(channel)).type, 'ok');
    const deltas: string[] = [];
    for (let sequence = 1; sequence <= 20; sequence += 1)
      deltas.push((await scene.delta({ tenant, user, conversation, sequence })).event_id);
    await scene.delta({ tenant, user, conversation: randomUUIDv7() });
    // Forged: the value is somebody else's.
    await scene.delta({ tenant, user: randomUUIDv7(), conversation }, { user_id: user });
    await scene.delta({ tenant: randomUUID(), user, conversation }, { tenant_id: tenant });
    const last = await scene.delta({ tenant, user, conversation, sequence: 21 });
    for (const client of [owner, again]) {
      const { data } = await client.message((it) => it.id === last.event_id);
      assert.deepEqual(client.events(), [...deltas, last.event_id]);
      assert.deepEqual(data, Object.fromEntries(Object.entries(last).filter(([, field]) => field !== null)));
    }
    assert.deepEqual([...staff.events(), ...namesake.events()], []);
    const late = await connect(one.port, await scene.token({ tenant_id: tenant, roles: ['staff'] }));
    assert.equal((await late.subscribe(channel)).code, 'not_found', 'seen by now, and not his');
    for (const client of [owner, again, staff, namesake, late]) await client.close();
  });

  it('resumes a conversation in mid-answer on the other instance, and tells a gap to a cursor of another channel', async () => {
    const [tenant, user, conversation] = [randomUUID(), randomUUIDv7(), randomUUIDv7()];
    const channel = `conversation:${conversation}`;
    const token = await scene.token({ tenant_id: tenant, user_id: user });
    const first = await connect(one.port, token);
    await first.subscribe(channel);
    await first.subscribe('orders');
    const seen = await scene.delta({ tenant, user, conversation });
    await first.message((it) => it.id === seen.event_id);
    const cursors = { own: first.cursor(channel), orders: first.cursor('orders') };
    await first.close();
    const missed: string[] = [];
    for (let sequence = 2; sequence <= 10; sequence += 1)
      missed.push((await scene.delta({ tenant, user, conversation, sequence })).event_id);
    const second = await connect(two.port, token);
    await second.subscribe(channel, cursors.own);
    await second.message((it) => it.id === missed.at(-1));
    assert.deepEqual(second.events(), missed);
    await second.subscribe(channel, cursors.orders);
    assert.equal((await second.message((it) => it.type === 'gap')).reason, 'epoch_changed');
    await second.close();
  });

  it('shows a record whose header names another tenant than its value to nobody', async () => {
    const [tenant, victim, user] = [randomUUID(), randomUUID(), randomUUIDv7()];
    const clients = await Promise.all(
      [tenant, victim].map(async (id) =>
        connect(one.port, await scene.token({ tenant_id: id, roles: ['staff'] }), { path: '/ws/orders' }),
      ),
    );
    for (const client of clients) await client.message((it) => it.type === 'cursor');
    await scene.order({ tenant, user }, { tenant_id: victim });
    await scene.order({ tenant, user }, { user_id: randomUUID() });
    await scene.send(scene.topics.orders, randomUUID(), Buffer.from('not Avro at all'), {
      tenant_id: tenant,
    });
    await scene.send(scene.topics.orders, randomUUID(), null, { tenant_id: tenant });
    await scene.send(scene.topics.orders, null, Buffer.from([0, 0, 0x7f, 0, 0, 1]), { tenant_id: tenant });
    const good = await Promise.all([tenant, victim].map((id) => scene.order({ tenant: id, user })));
    for (const [i, client] of clients.entries()) {
      await client.message((it) => it.id === good[i]?.event_id);
      assert.deepEqual(client.events(), [good[i]?.event_id]);
      await client.close();
    }
  });

  it('goes on over transactions: what was aborted is never shown, and markers do not stop it', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const client = await connect(one.port, await scene.token({ tenant_id: tenant, user_id: user }), {
      path: '/ws/orders',
    });
    const { cursor } = await client.message((it) => it.type === 'cursor');
    const producer = scene.kafka.producer({
      transactionalId: `test-${randomUUID()}`,
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await producer.connect();
    const committed: string[] = [];
    for (let i = 0; i < 6; i += 1) {
      const transaction = await producer.transaction();
      const event = await orderIn(transaction, scene, { tenant, user });
      if (i % 2 === 0) await transaction.abort();
      else {
        await transaction.commit();
        committed.push(event);
      }
    }
    await producer.disconnect();
    await eventually(() => assert.deepEqual(client.events().sort(), committed.sort()));
    // And the same when it is read again.
    const again = await connect(two.port, await scene.token({ tenant_id: tenant, user_id: user }));
    await again.subscribe('orders', cursor);
    await again.message((it) => it.type === 'recovered');
    assert.deepEqual(again.events().sort(), committed.sort());
    await Promise.all([client.close(), again.close()]);
  });

  it('shows notifications to their user, and those for staff to all staff', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const staff = await connect(
      one.port,
      await scene.token({ tenant_id: tenant, user_id: user, roles: ['staff'] }),
    );
    const customer = await connect(two.port, await scene.token({ tenant_id: tenant }));
    for (const client of [staff, customer])
      assert.equal((await client.subscribe('notifications')).type, 'ok');
    const own = await scene.notification({ tenant, user });
    const shared = await scene.notification({ tenant, user: '' });
    await scene.notification({ tenant, user: randomUUID() });
    await eventually(() => assert.deepEqual(staff.events().sort(), [own.event_id, shared.event_id].sort()));
    assert.deepEqual(customer.events(), []);
    await Promise.all([staff.close(), customer.close()]);
  });

  it('cuts the sockets of a revoked session on every instance, and lets its token open no other', async () => {
    const [tenant, user, session] = [randomUUID(), randomUUIDv7(), randomUUID()];
    const claims = { tenant_id: tenant, user_id: user, session_id: session };
    const token = await scene.token(claims);
    const cut = await Promise.all([connect(one.port, token), connect(two.port, token)]);
    const stays = await connect(one.port, await scene.token({ ...claims, session_id: randomUUID() }));
    await scene.revocation({ tenant, user, session });
    for (const client of cut) assert.equal(await client.closed, 4401);
    await assert.rejects(connect(one.port, token), { status: 401 });
    assert.equal(stays.ws.readyState, 1);
    await stays.close();
    // An instance that starts later knows it too.
    const late = await scene.instance();
    await assert.rejects(connect(late.port, token), { status: 401 });
    await late.stop();
  });

  it('tells a gap when the topic was made anew, and shows what the new one has', async () => {
    const own = await sceneOf({ partitions: 2 });
    const instance = await own.instance();
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const token = await own.token({ tenant_id: tenant, user_id: user });
    const client = await connect(instance.port, token, { path: '/ws/orders' });
    await client.message((it) => it.type === 'cursor');
    const before = await own.order({ tenant, user });
    await client.message((it) => it.id === before.event_id);
    const old = client.cursor('orders');
    await own.admin.deleteTopics({ topics: [own.topics.orders] });
    await eventually(() => own.createTopics([own.topics.orders]), { everyMs: 200 });
    await client.message((it) => it.type === 'gap' && it.reason === 'epoch_changed', 20_000);
    const event = await eventually(() => own.order({ tenant, user }));
    await client.message((it) => it.id === event.event_id);
    const late = await connect(instance.port, token);
    await late.subscribe('orders', old);
    assert.equal((await late.message((it) => it.type === 'gap')).reason, 'epoch_changed');
    await Promise.all([client.close(), late.close()]);
  });

  it('tells a gap when what is owed has expired', async () => {
    const own = await sceneOf({ partitions: 1 });
    const instance = await own.instance({ limits: { ringEntries: 2 } });
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const token = await own.token({ tenant_id: tenant, user_id: user });
    const client = await connect(instance.port, token, { path: '/ws/orders' });
    const { cursor } = await client.message((it) => it.type === 'cursor');
    let last = '';
    for (let i = 0; i < 10; i += 1) last = (await own.order({ tenant, user })).event_id;
    await client.message((it) => it.id === last);
    await own.expire(own.topics.orders, 0, 5);
    const late = await connect(instance.port, token);
    await late.subscribe('orders', cursor);
    assert.equal((await late.message((it) => it.type === 'gap')).reason, 'expired');
    const event = await own.order({ tenant, user });
    await late.message((it) => it.id === event.event_id);
    await Promise.all([client.close(), late.close()]);
  });

  it('says goaway, closes with 1012 and takes no new sockets when it stops', async () => {
    const instance = await scene.instance();
    const client = await connect(instance.port, await scene.token({}));
    const stopping = instance.stop();
    const { reconnect_after_ms: wait } = await client.message((it) => it.type === 'goaway');
    assert.ok(typeof wait === 'number' && wait >= 0);
    assert.equal(await client.closed, 1012);
    await stopping;
  });

  it('knows the way of an event', async () => {
    const [tenant, user] = [randomUUID(), randomUUIDv7()];
    const client = await connect(one.port, await scene.token({ tenant_id: tenant, user_id: user }), {
      path: '/ws/orders',
    });
    await client.message((it) => it.type === 'cursor');
    const { event_id } = await scene.order({ tenant, user });
    await client.message((it) => it.id === event_id);
    const trace = one.live.traceOf(event_id);
    assert.equal(trace?.tenant_id, tenant);
    assert.equal(trace?.topic, scene.topics.orders);
    assert.equal(trace?.sockets, 1);
    await eventually(() => assert.equal(two.live.traceOf(event_id)?.sockets, 0));
    await client.close();
  });
});

async function orderIn(
  transaction: Awaited<ReturnType<ReturnType<Scene['kafka']['producer']>['transaction']>>,
  { topics, encodeOrder }: Scene,
  { tenant, user }: { tenant: string; user: string },
): Promise<string> {
  const { anOrderEvent } = await import('@ragline/schemas/samples');
  const event = anOrderEvent({ tenant_id: tenant, user_id: user });
  const headers = { id: event.event_id, event_type: event.event_type, tenant_id: tenant, user_id: user };
  const messages = [{ key: event.order.id, value: encodeOrder(event), headers }];
  await transaction.send({ topic: topics.orders, messages });
  return event.event_id;
}
