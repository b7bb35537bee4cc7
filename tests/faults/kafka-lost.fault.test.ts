/** Kafka's folder is deleted under a running system, and docs/operations/kafka-lost.md followed, command by command. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { allTopics } from '@ragline/schemas/topics';
import { EventSource } from 'eventsource';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { openTalk } from '../e2e/chat-scene.ts';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { runRunbook } from '../support/runbook.ts';
import {
  aLine,
  effectsIn,
  openOutbox,
  type Records,
  recordsIn,
  signInTo,
  startReceiver,
} from './kafka-lost.ts';
import { ownStack } from './own-stack.ts';
import type { Session } from './session.ts';
import { type Watcher, watch } from './watcher.ts';

describe('a system whose Kafka lost its disk', function () {
  this.timeout(300_000);
  let db: pg.Pool;
  let staff: Session;
  let admin: Session;
  let customer: Session;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let outbox: Awaited<ReturnType<typeof openOutbox>>;
  let watcher: Watcher;
  let source: EventSource;
  const gapsOfStream: string[] = [];
  const heard: string[] = [];
  // Hooks run in their order: what lives on the stack ends before it does.
  after(async () => {
    source?.close();
    await watcher?.stop();
    await outbox?.close();
    await db?.end();
    await receiver?.stop();
  });
  const stack = ownStack(() => ({ RETRY_DELAYS_MS: '100,100', WEBHOOK_ALLOW_LOOPBACK: 'on' }));

  before(async () => {
    db = new pg.Pool({ connectionString: stack().env.DATABASE_URL, max: 2 });
    // Its sockets to a stack that is being stopped end before it does.
    db.on('error', () => {});
    [staff, admin, customer] = await Promise.all([
      signInTo(stack(), 'acme', 'staff'),
      signInTo(stack(), 'acme', 'admin'),
      signInTo(stack(), 'acme', 'customer'),
    ]);
    receiver = await startReceiver();
    outbox = await openOutbox(stack());
    watcher = await watch(staff);
    source = new EventSource(`${staff.url}/v1/events/orders`, {
      fetch: async (input, init) =>
        fetch(input, {
          ...init,
          headers: { ...init.headers, authorization: `Bearer ${await staff.token()}` },
        }),
    });
    source.addEventListener('gap', ({ data }) => gapsOfStream.push(JSON.parse(data).reason));
    source.addEventListener('order_created', ({ data }) => heard.push(JSON.parse(data).data.order.id));
    await new Promise<void>((resolve) => source.addEventListener('open', () => resolve(), { once: true }));
  });

  it('has every event back and no effect twice, and its clients are told of a gap', async () => {
    await ask(admin, 'POST', '/v1/webhooks', { url: receiver.url, event_types: ['*'] }, 201);
    const talk = await openTalk(customer);
    const said = await talk.ask('What do you have without meat?');
    assert.equal(said.end, 'message_completed');
    for (let i = 0; i < 4; i += 1) {
      const { id } = await placeOrder();
      await ask(staff, 'POST', `/v1/orders/${id}/status`, { status: 'confirmed' });
    }
    // The first of a line dies and the second waits behind it; the third comes when all is over.
    const [dead, follower, late] = aLine({ tenant_id: customer.tenantId, user_id: customer.userId });
    assert.ok(dead && follower && late);
    await outbox.append(dead);
    const letter = await eventually(() => letterOf(dead.event_id), { withinMs: 30_000, everyMs: 200 });
    await outbox.append(follower);
    const steady = await untilSteady();
    assert.deepEqual([steady.parked, steady.letters], [2, 1]);
    const before = await recordsIn(stack());
    assert.ok(countOf(before) > 20);

    const { dataDir } = stack().context;
    stack().process('kafka').kill('SIGKILL');
    rmSync(path.join(dataDir, 'kafka'), { recursive: true, force: true });
    const meanwhile = await placeOrder();
    const env = { ...stack().env, RAGLINE_DATA_DIR: dataDir };
    const followed = await runRunbook('kafka-lost.md', 'Bring it back', env, 240_000);
    assert.equal(followed.code, 0, followed.stderr + followed.stdout);

    // Nothing that was there is missing, or elsewhere, or different; what came meanwhile is behind it.
    const back = await recordsIn(stack());
    for (const [place, records] of before) {
      const again = back.get(place)?.slice(0, records.length) ?? [];
      assert.deepEqual(ordered(place, again), ordered(place, records), place);
    }
    const news = await placeOrder();
    await eventually(
      () => {
        for (const id of [meanwhile.id, news.id]) {
          assert.ok(watcher.seen.some(({ order_id }) => order_id === id));
          assert.ok(heard.includes(id));
        }
      },
      { withinMs: 60_000 },
    );
    assert.ok(watcher.gaps.includes('epoch_changed'), JSON.stringify(watcher.gaps));
    assert.ok(gapsOfStream.includes('epoch_changed'), JSON.stringify(gapsOfStream));

    // An order is two notifications and a delivery; nothing else has happened.
    await outbox.append(late);
    const expected = {
      ...steady,
      notifications: (steady.notifications ?? 0) + 4,
      deliveries: (steady.deliveries ?? 0) + 3,
      orders: (steady.orders ?? 0) + 2,
      parked: 3,
      depth: 3,
    };
    await eventually(async () => assert.deepEqual(await effectsIn(db, customer.tenantId), expected), {
      withinMs: 60_000,
      everyMs: 200,
    });
    const ids = idsIn(await recordsIn(stack()));
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(new Set(receiver.taken).size, receiver.taken.length);
    assert.deepEqual(
      (await talk.messages()).map(({ content }) => content),
      ['What do you have without meat?', said.message.content],
    );

    // The line is in its order still: given up, its head lets the two behind it take effect, once.
    const operator = await signInTo(stack(), 'ragline', 'operator');
    await ask(operator, 'POST', `/v1/dead-letters/${letter}/discard`, { reason: 'a test' });
    await eventually(
      async () =>
        assert.deepEqual(await titlesOf(late.order.id), [
          'Your order was confirmed',
          'Your order is being prepared',
        ]),
      { withinMs: 30_000, everyMs: 200 },
    );
    // And answers are given as before.
    assert.equal((await talk.ask('And with cheese?')).end, 'message_completed');
  });

  async function ask(by: Session, method: string, at: string, body: unknown, expected = 200) {
    const answer = await httpTo(by.url)(method, at, { token: await by.token(), body });
    assert.equal(answer.status, expected, `${method} ${at}: ${answer.text}`);
    return answer.body;
  }

  async function placeOrder(): Promise<{ id: string }> {
    const http = httpTo(customer.url);
    const token = await customer.token();
    const products = await http('GET', '/v1/products?available=true&limit=1', { token });
    const items = [{ product_id: products.body.data[0].id, quantity: 1 }];
    const headers = { 'idempotency-key': randomUUID() };
    const answer = await http('POST', '/v1/orders', { token, headers, body: { items } });
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
  }

  async function letterOf(eventId: string): Promise<string> {
    const { rows } = await db.query('SELECT id FROM dead_letters.letter WHERE event_id = $1', [eventId]);
    assert.equal(rows.length, 1);
    return rows[0].id;
  }

  /** Effects once nothing more happens: every event on its topic, and seen by every group. */
  async function untilSteady(): Promise<Record<string, number>> {
    let last: unknown;
    let lastChange = Date.now();
    return eventually(
      async () => {
        const effects = await effectsIn(db, customer.tenantId);
        const { rows } = await db.query(
          'SELECT count(*)::int AS attempts FROM notifications.webhook_attempt',
        );
        const now = JSON.stringify([effects, rows, countOf(await recordsIn(stack()))]);
        if (now !== last) lastChange = Date.now();
        last = now;
        assert.ok(Date.now() - lastChange > 2_000 && effects.parked === 2);
        return effects;
      },
      { withinMs: 60_000, everyMs: 300 },
    );
  }

  async function titlesOf(orderId: string): Promise<string[]> {
    const { rows } = await db.query(
      'SELECT title FROM notifications.notification WHERE order_id = $1 ORDER BY created_at, id',
      [orderId],
    );
    return rows.map(({ title }) => title);
  }
});

const idsIn = (records: Records): string[] => [...records.values()].flat().map(({ id }) => id);
const countOf = (records: Records): number => idsIn(records).length;

const concurrent = allTopics.filter((it) => it.concurrent).map(({ name }) => name);

/** As they lie there; by their ids where the topic promises no order between them. */
function ordered(place: string, records: { id: string; whole: string }[]): typeof records {
  const hasNoOrder = concurrent.some((name) => place.startsWith(`${name}/`));
  return hasNoOrder ? records.toSorted((a, b) => (a.id < b.id ? -1 : 1)) : records;
}
