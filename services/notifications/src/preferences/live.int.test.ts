import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { connect, type Scene, startScene } from '../live/live.scene.ts';
import { memoized } from '../memoized.ts';
import { createPreferenceBook } from './book.ts';
import { type Rules, usualRules } from './rules.ts';
import { preferenceStore } from './store.ts';

const muted: Rules = { ...usualRules, events: { order_created: { list: true, live: false } } };
const anyVersion = () => {};

describe('preferences on sockets', function () {
  this.timeout(60_000);
  let database: Awaited<ReturnType<typeof scratchDatabase>>;
  let pool: Pool;
  let scene: Scene;
  let store: ReturnType<typeof preferenceStore>;
  let one: Awaited<ReturnType<typeof anInstance>>;
  let two: Awaited<ReturnType<typeof anInstance>>;

  const log = { debug() {}, info() {}, warn() {}, error() {} };

  async function anInstance() {
    const book = createPreferenceBook({
      store,
      log,
      metrics: createMetrics({ service: 'test' }),
      now: Date.now,
    });
    return { ...(await scene.instance({ preferences: book })), book };
  }

  before(async () => {
    database = await scratchDatabase();
    pool = poolOf('ragline_notifications', 4, database.name);
    scene = await startScene();
    store = preferenceStore(
      pool,
      memoized(() => scene.codec.encoder('notification_v1')),
    );
    [one, two] = await Promise.all([anInstance(), anInstance()]);
  });
  after(async () => {
    await scene?.stop();
    await pool?.end();
    await database?.drop();
  });

  type User = { tenant_id: string; user_id: string; is_staff: boolean };

  const aUser = (role: 'customer' | 'staff', tenant_id: string = randomUUIDv7()): User => ({
    ...{ tenant_id, user_id: randomUUIDv7() },
    is_staff: role === 'staff',
  });

  async function follow({ port }: { port: number }, user: User, since?: unknown) {
    const { tenant_id, user_id, is_staff } = user;
    const token = await scene.token({ tenant_id, user_id, roles: [is_staff ? 'staff' : 'customer'] });
    const client = await connect(port, token);
    assert.equal((await client.subscribe('notifications', since)).type, 'ok');
    await client.message((it) => it.type === 'cursor');
    return client;
  }

  /** Puts, and carries the event to Kafka, as the connector does; resolves when the instance holds to it. */
  async function put(user: User, rules: Rules, heardBy: readonly { port: number }[]): Promise<void> {
    const clients = await Promise.all(heardBy.map((it) => follow(it, user)));
    await store.put(user, rules, anyVersion);
    const { rows } = await inTenant(pool, user.tenant_id, (client) =>
      client.query<{ id: string; type: string; payload: Buffer }>(
        'SELECT id, type, payload FROM notifications.outbox WHERE user_id = $1 ORDER BY id DESC LIMIT 1',
        [user.user_id],
      ),
    );
    const [row] = rows;
    assert.ok(row);
    const { tenant_id, user_id } = user;
    await scene.send(scene.topics.notifications, user_id, row.payload, {
      ...{ id: row.id, event_type: row.type, tenant_id, user_id },
      ...{ traceparent: '', 'content-type': 'application/avro' },
    });
    for (const client of clients) {
      const told = await client.message((it) => it.id === row.id);
      assert.equal(told.event_type, 'notification_preferences_changed');
      await client.close();
    }
  }

  const made = ({ tenant_id, user_id }: User, kind: string) =>
    scene.notification({ tenant: tenant_id, user: user_id, kind });

  it('keep what is muted from its user alone, on every instance', async () => {
    const quiet = aUser('customer');
    const other = aUser('customer', quiet.tenant_id);
    await put(quiet, muted, [one, two]);
    const clients = [await follow(one, quiet), await follow(two, quiet)];
    const another = await follow(one, other);
    await made(quiet, 'order_created');
    const told = await made(quiet, 'order_cancelled');
    const [first, last] = [await made(other, 'order_created'), await made(other, 'order_cancelled')];
    for (const client of clients) {
      await client.message((it) => it.id === told.event_id);
      assert.deepEqual(client.events(), [told.event_id]);
      await client.close();
    }
    await another.message((it) => it.id === last.event_id);
    assert.deepEqual(another.events(), [first.event_id, last.event_id]);
    await another.close();
  });

  it('take effect on a socket that is open, and end there as well', async () => {
    const user = aUser('customer');
    const client = await follow(two, user);
    const before = await made(user, 'order_created');
    await client.message((it) => it.id === before.event_id);
    await put(user, muted, [two]);
    await made(user, 'order_created');
    await put(user, usualRules, [two]);
    const after = await made(user, 'order_created');
    await client.message((it) => it.id === after.event_id);
    const kinds = client.messages.filter((it) => it.type === 'event').map((it) => it.event_type);
    const change = 'notification_preferences_changed';
    assert.deepEqual(kinds, ['notification_created', change, change, 'notification_created']);
    await client.close();
  });

  it('are each one’s own among staff, who share their notifications', async () => {
    const quiet = aUser('staff');
    const awake = aUser('staff', quiet.tenant_id);
    await put(quiet, muted, [one]);
    const [silent, loud] = [await follow(one, quiet), await follow(one, awake)];
    const all = { ...quiet, user_id: '' };
    const hidden = await made(all, 'order_created');
    const seen = await made(all, 'webhook_disabled');
    await loud.message((it) => it.id === hidden.event_id);
    for (const client of [silent, loud]) await client.message((it) => it.id === seen.event_id);
    assert.deepEqual(silent.events(), [seen.event_id]);
    await silent.close();
    await loud.close();
  });

  it('leave no gap: from a cursor come those that are wanted, judged by what held when they were made', async () => {
    const user = aUser('customer');
    const first = await follow(one, user);
    const since = first.cursor('notifications');
    await first.close();
    const before = await made(user, 'order_created');
    // Of one clock: what is made in the millisecond of a change is of after it.
    await eventually(() => Date.now() > Date.parse(before.occurred_at));
    await put(user, muted, [one]);
    await made(user, 'order_created');
    const wanted = await made(user, 'order_cancelled');
    const again = await follow(two, user, since);
    const recovered = await again.message((it) => it.type === 'recovered');
    assert.equal(recovered.complete, true);
    const kinds = again.messages.filter((it) => it.type === 'event').map((it) => it.event_type);
    assert.deepEqual(kinds, [
      'notification_created',
      'notification_preferences_changed',
      'notification_created',
    ]);
    assert.deepEqual([again.events()[0], again.events()[2]], [before.event_id, wanted.event_id]);
    assert.ok(again.messages.every(({ type }) => type !== 'gap'));
    await again.close();
  });

  it('are kept in memory for those alone who are connected', async () => {
    const user = aUser('customer');
    const before = one.book.size();
    const client = await follow(one, user);
    assert.equal(one.book.size(), before + 1);
    await client.close();
  });
});
