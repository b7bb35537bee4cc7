/** Postgres is put back to a copy while Kafka is not, and docs/operations/postgres-restored.md followed, command by command. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { startReceiver } from '../support/receiver.ts';
import { runRunbook } from '../support/runbook.ts';
import { aLine, openOutbox } from './kafka-lost.ts';
import { effectsOf, follow, freshSession, known, openShopper, type Stream } from './postgres-restored.ts';
import type { Session } from './session.ts';
import { type StartedStack, startedStack } from './started-stack.ts';
import { type Watcher, watch } from './watcher.ts';

const page = 'postgres-restored.md';
const patient = { withinMs: 120_000, everyMs: 200 };

describe('a system whose Postgres was restored to a point in the past', function () {
  this.timeout(900_000);
  let stack: StartedStack;
  let db: pg.Pool;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let watcher: Watcher;
  let stream: Stream;
  let staff: Session;
  let admin: Session;
  let customer: Session;

  before(async () => {
    stack = await startedStack({
      ...{ RAGLINE_INSTANCES: 'notifications=2', RETRY_DELAYS_MS: '100,100', WEBHOOK_ALLOW_LOOPBACK: 'on' },
    });
    db = openDatabase();
    receiver = await startReceiver();
    [staff, admin, customer] = await Promise.all([user('staff'), user('admin'), user('customer')]);
    watcher = await watch(staff);
    stream = await follow(staff);
  });
  after(async () => {
    stream?.close();
    await watcher?.stop();
    await db?.end();
    await receiver?.stop();
    await stack?.remove();
  });

  it('names what was withdrawn, and has every effect of the rest once', async () => {
    const hook = { url: receiver.url, event_types: ['*'] };
    assert.equal((await ask(admin, 'POST', '/v1/webhooks', hook)).status, 201);
    const shopper = await openShopper(customer);
    const early = await shopper.place();
    await confirm(early);
    const [dead, follower, late] = aLine({ tenant_id: customer.tenantId, user_id: customer.userId });
    assert.ok(dead && follower && late);
    const line = dead.order.id;
    await append(dead, follower);
    const letter = await eventually(() => letterOf(dead.event_id), patient);
    await eventually(() => effectsOf(db, customer.tenantId), patient);
    const done = new Set(receiver.received.map(eventOf));

    // Whoever writes a notification waits until the copy is made: effects of events of before it come after it.
    const copy = path.join(stack.folder, 'copy');
    const list = path.join(stack.folder, 'withdrawn.ndjson');
    const settings = { ...stack.settings, COPY: copy, LIST: list };
    const held = await db.connect();
    await held.query('BEGIN; LOCK TABLE notifications.notification IN SHARE MODE');
    const between = await shopper.place();
    await shopper.during(async () => {
      const copied = await runRunbook(page, 'Before: keep a copy', settings);
      assert.equal(copied.code, 0, copied.stderr);
    });
    await held.query('ROLLBACK');
    held.release();

    for (let i = 0; i < 3; i += 1) await shopper.place();
    const last = await shopper.place();
    await confirm(last);
    await ask(staff, 'POST', `/v1/orders/${early}/status`, { status: 'preparing' });
    await append(late);
    const first = await eventually(() => effectsOf(db, customer.tenantId), patient);
    assert.ok(first.notifications.some((it) => it.includes(between)));
    await eventually(() => {
      for (const id of shopper.placed) {
        assert.ok(watcher.seen.some(({ order_id }) => order_id === id));
        assert.ok(stream.created.includes(id));
      }
    }, patient);
    const tokenOfBefore = await staff.token();
    const heardBefore = [watcher.seen.length, stream.created.length] as const;
    const receivedBefore = receiver.received.length;
    assert.deepEqual([watcher.gaps, stream.gaps], [[], []]);

    await db.end();
    const followed = await runRunbook(page, 'Bring it back', settings, 480_000);
    assert.equal(followed.code, 0, `${followed.stdout}\n${followed.stderr}`);
    db = openDatabase();

    // Exactly the orders that Postgres does not know any more, with what they said.
    const orders = linesOf(list).filter(({ tenant_id }) => tenant_id === customer.tenantId);
    const gone = await unknownOf(shopper.placed);
    assert.ok(gone.length >= 4 && gone.includes(last) && !gone.includes(between) && !gone.includes(early));
    const of = (kind: string) => orders.filter((it) => it.kind === kind).map(({ order_id }) => order_id);
    assert.deepEqual(of('withdrawn').toSorted(), gone.toSorted());
    assert.deepEqual(of('taken_back').toSorted(), [early, line].toSorted());
    for (const { order_id, user_id, topic, event } of orders) {
      assert.deepEqual([user_id, topic, event.order.id], [customer.userId, 'orders.v1', order_id]);
    }
    const { order } = orders.find(({ order_id }) => order_id === last)?.event ?? {};
    assert.ok(order?.items.length === 1 && order.total > 0 && order.status === 'confirmed');
    assert.equal(statSync(list).mode & 0o777, 0o600);

    // Whoever was signed in is not; clients that came back with their cursors were told.
    const refused = await httpTo(staff.url)('GET', '/v1/orders?limit=1', { token: tokenOfBefore });
    assert.equal(refused.status, 401, refused.text);
    await eventually(() => {
      assert.ok(watcher.gaps.includes('epoch_changed'), JSON.stringify(watcher.gaps));
      assert.ok(stream.gaps.includes('epoch_changed'), JSON.stringify(stream.gaps));
    }, patient);

    // All that there was of events of before the copy is there, once, and nothing else.
    const expected = await known(db, first);
    await eventually(async () => assert.deepEqual(await effectsOf(db, customer.tenantId), expected), patient);
    assert.equal(expected.notifications.filter((it) => it.includes(between)).length, 2);
    const again = receiver.received.slice(receivedBefore).map(eventOf);
    assert.equal(new Set(again).size, again.length);
    assert.deepEqual(
      again.filter((id) => done.has(id)),
      [],
    );

    // New orders reach everybody once, and the line goes on in its order.
    const again2 = await openShopper(await user('customer'));
    const fresh = await again2.place();
    await eventually(async () => {
      assert.ok(watcher.seen.some(({ order_id }) => order_id === fresh));
      assert.ok(stream.created.includes(fresh));
      const { notifications } = await effectsOf(db, customer.tenantId);
      assert.equal(notifications.filter((it) => it.includes(fresh)).length, 2);
    }, patient);
    const seen = watcher.seen.slice(heardBefore[0]).map(({ event_id }) => event_id);
    assert.equal(new Set(seen).size, seen.length);
    const created = stream.created.slice(heardBefore[1]);
    assert.equal(created.filter((id) => id === fresh).length, 1);
    assert.deepEqual(
      created.filter((id) => gone.includes(id)),
      [],
    );
    await append(late);
    await eventually(() => effectsOf(db, customer.tenantId), patient);
    const { rows } = await db.query('SELECT id FROM dead_letters.letter');
    assert.deepEqual(
      rows.map(({ id }) => id),
      [letter],
    );
    const { env } = stack;
    const { RAGLINE_URL: url = '', RAGLINE_DEMO_PASSWORD: password = '' } = env();
    const operator = await freshSession(url, 'ragline', 'operator@ragline.example', password);
    const discarded = await ask(operator, 'POST', `/v1/dead-letters/${letter}/discard`, { reason: 'a test' });
    assert.equal(discarded.status, 200, discarded.text);
    await eventually(
      async () =>
        assert.deepEqual(await titlesOf(line), ['Your order was confirmed', 'Your order is being prepared']),
      patient,
    );
  });

  const openDatabase = (): pg.Pool => {
    const pool = new pg.Pool({ connectionString: stack.env().DATABASE_URL, max: 2 });
    // Its sockets to a Postgres that is being stopped end before it does.
    pool.on('error', () => {});
    return pool;
  };

  const user = (who: string): Promise<Session> => {
    const { RAGLINE_URL: url = '', RAGLINE_DEMO_PASSWORD: password = '' } = stack.env();
    return freshSession(url, 'acme', `${who}@acme.example`, password);
  };

  async function ask(by: Session, method: string, at: string, body: unknown) {
    return httpTo(by.url)(method, at, { token: await by.token(), body });
  }

  async function confirm(orderId: string): Promise<void> {
    const answer = await ask(staff, 'POST', `/v1/orders/${orderId}/status`, { status: 'confirmed' });
    assert.equal(answer.status, 200, answer.text);
  }

  async function append(...events: ReturnType<typeof aLine>): Promise<void> {
    const outbox = await openOutbox({ env: stack.env() });
    for (const event of events) await outbox.append(event);
    await outbox.close();
  }

  async function letterOf(eventId: string): Promise<string> {
    const { rows } = await db.query('SELECT id FROM dead_letters.letter WHERE event_id = $1', [eventId]);
    assert.equal(rows.length, 1);
    return rows[0].id;
  }

  async function unknownOf(ids: readonly string[]): Promise<string[]> {
    const { rows } = await db.query('SELECT id FROM orders.orders WHERE id = ANY ($1::uuid[])', [ids]);
    const there = new Set(rows.map(({ id }) => id));
    return ids.filter((id) => !there.has(id));
  }

  async function titlesOf(orderId: string): Promise<string[]> {
    const { rows } = await db.query(
      `SELECT title FROM notifications.notification WHERE order_id = $1 AND audience = 'user' ORDER BY created_at, id`,
      [orderId],
    );
    return rows.map(({ title }) => title);
  }
});

const eventOf = ({ body }: { body: string }): string => JSON.parse(body).data.event_id;

type Line = {
  order_id: string;
  tenant_id: string;
  user_id: string;
  kind: string;
  topic: string;
  event: { order: { id: string; status: string; total: number; items: unknown[] } };
};

const linesOf = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
