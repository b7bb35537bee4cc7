import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import { Problem } from '@ragline/web/problems';
import { after, before, beforeEach, describe, it } from 'mocha';
import { CutError } from '../domain.ts';
import { approvalExecution } from './approvals.ts';
import { OrdersError } from './orders-error.ts';
import { aConversation, type Conversation, callerIn, type Desk, openDesk } from './tools.support.ts';

describe('approvals', () => {
  let pool: Pool;
  let desk: Desk;
  let mine: Conversation;
  let dish: string;

  before(async () => {
    pool = poolOf('ragline_chat', 4);
    desk = await openDesk({ pool });
  });
  after(async () => {
    await desk?.stop();
    await pool?.end();
  });
  beforeEach(async () => {
    mine = await aConversation(pool);
    dish = randomUUIDv7();
    desk.fake.price(dish, 950);
    desk.fake.faults(() => undefined);
  });

  const ask = async (fields: object = {}, at = callerIn(mine)) => {
    const args = { items: [{ product_id: dish, quantity: 1 }], ...fields };
    const outcome = await desk.registry.call(
      { id: '1', name: 'confirm', arguments: JSON.stringify(args) },
      at,
    );
    assert.ok(outcome.ok && outcome.approval, outcome.content);
    return outcome.approval.approval_id;
  };
  const placed = () => desk.fake.placed.filter(({ user_id }) => user_id === mine.user_id);
  const age = (id: string, set: string) =>
    inTenant(pool, mine.tenant_id, (client) =>
      client.query(`UPDATE chat.approval SET ${set} WHERE id = $1`, [id]),
    );
  const refusal = (code: string) => (error: unknown) => error instanceof Problem && error.code === code;
  const away = (error: unknown) => error instanceof OrdersError && error.retriable;

  it('are needed: nothing is placed while the customer has said nothing, no, or it is too late', async () => {
    const id = await ask();
    assert.equal((await desk.execute(id, callerIn(mine))).kind, 'refused');
    await desk.decide(mine, id, 'reject');
    assert.deepEqual(await desk.execute(id, callerIn(mine)), { kind: 'rejected' });
    assert.deepEqual(placed(), []);
  });

  it('place the order as it was quoted, and say the same when they are carried out again', async () => {
    const id = await ask({ items: [{ product_id: dish, quantity: 3, notes: 'no salt' }] });
    await desk.decide(mine, id);
    const first = await desk.execute(id, callerIn(mine));
    assert.equal(first.kind, 'ordered');
    assert.equal(first.order.total, 2_850);
    assert.deepEqual(await desk.execute(id, callerIn(mine, { generation: 2 })), first);
    assert.equal(placed().length, 1);
  });

  it('give the same answer to the same decision again, and refuse the other one', async () => {
    const id = await ask();
    const answer = await desk.decide(mine, id);
    const again = await desk.decide(mine, id);
    assert.deepEqual(
      [again.approval_id, again.decision, again.decided_at],
      [id, 'approve', answer.decided_at],
    );
    await assert.rejects(desk.decide(mine, id, 'reject'), refusal('already_handled'));
    await desk.execute(id, callerIn(mine));
    assert.deepEqual((await desk.decide(mine, id)).turn_id, answer.turn_id);
  });

  it('are nobody else’s to decide, and belong to one conversation', async () => {
    const id = await ask();
    const neighbour = { ...mine, user_id: randomUUIDv7() };
    const stranger = await aConversation(pool);
    const elsewhere = { ...mine, conversation_id: randomUUIDv7() };
    for (const it of [neighbour, stranger, elsewhere]) {
      await assert.rejects(desk.decide(it, id), refusal('not_found'));
      await desk.decide(mine, id).catch(() => {});
      assert.equal((await desk.execute(id, callerIn(it))).kind, 'refused');
    }
    assert.deepEqual(placed(), []);
  });

  it('end with their time, and when a newer one takes their place', async () => {
    const late = await ask();
    await age(late, "expires_at = now() - interval '1 second'");
    for (const _ of ['first', 'again']) await assert.rejects(desk.decide(mine, late), refusal('conflict'));
    assert.equal((await desk.execute(late, callerIn(mine))).kind, 'refused');
    const older = await ask();
    const newer = await ask({ notes: 'another' });
    await assert.rejects(desk.decide(mine, older), refusal('conflict'));
    await desk.decide(mine, newer);
    assert.equal((await desk.execute(newer, callerIn(mine))).kind, 'ordered');
  });

  it('are asked for once by a turn that runs again', async () => {
    const turn = callerIn(mine);
    const first = await ask({}, turn);
    assert.equal(await ask({}, { ...turn, generation: 2 }), first);
    await assert.rejects(
      desk.registry.call(
        {
          id: '1',
          name: 'confirm',
          arguments: JSON.stringify({ items: [{ product_id: dish, quantity: 9 }] }),
        },
        { ...turn, signal: AbortSignal.abort(new CutError('stop')) },
      ),
      CutError,
    );
  });

  it('are asked for anew by a turn that comes back to what it asked for before', async () => {
    const turn = callerIn(mine);
    const first = await ask({}, turn);
    await ask({ notes: 'another' }, turn);
    const third = await ask({}, turn);
    assert.notEqual(third, first);
    assert.equal(await ask({}, { ...turn, generation: 2 }), third);
    await desk.decide(mine, third);
    assert.equal((await desk.execute(third, callerIn(mine))).kind, 'ordered');
  });

  it('of another price place nothing, and come again with the new quote', async () => {
    const id = await ask();
    desk.fake.price(dish, 1_000);
    await desk.decide(mine, id);
    const result = await desk.execute(id, callerIn(mine));
    assert.ok(result.kind === 'refused' && result.approval);
    assert.deepEqual([result.code, result.approval.quote.total], ['price_changed', 1_000]);
    assert.deepEqual(placed(), []);
    await desk.decide(mine, result.approval.approval_id);
    assert.equal((await desk.execute(result.approval.approval_id, callerIn(mine))).kind, 'ordered');
    assert.deepEqual(await desk.execute(id, callerIn(mine, { generation: 2 })), result);
  });

  it('cannot be made to stand for something else', async () => {
    for (const set of [
      `order_request = replace(order_request, '"quantity":1', '"quantity":100')`,
      `quote = jsonb_set(quote, '{total}', '1')`,
      `quote_token = 'another'`,
    ]) {
      const id = await ask({ notes: set });
      await desk.decide(mine, id);
      await age(id, set);
      const result = await desk.execute(id, callerIn(mine));
      assert.deepEqual([result.kind, 'code' in result && result.code], ['refused', 'quote_changed']);
      await age(id, "state = 'failed', reason = 'quote_changed'");
    }
    assert.deepEqual(placed(), []);
  });

  it('wait while the orders service is away, and lose nothing', async () => {
    const id = await ask();
    await desk.decide(mine, id);
    desk.fake.faults(({ path }) => (path === '/v1/orders' ? 'place-and-lose' : undefined));
    await assert.rejects(desk.execute(id, callerIn(mine)), away);
    desk.fake.faults(() => undefined);
    const result = await desk.execute(id, callerIn(mine, { generation: 2 }));
    assert.equal(result.kind, 'ordered');
    assert.deepEqual(
      placed().map(({ id: order }) => order),
      [result.order.id],
    );
  });

  it('whose answer was lost are one order with what is approved next', async () => {
    const first = await ask();
    await desk.decide(mine, first);
    desk.fake.faults(({ path }) => (path === '/v1/orders' ? 'place-and-lose' : undefined));
    await assert.rejects(desk.execute(first, callerIn(mine)), away);
    desk.fake.faults(() => undefined);
    const second = await ask({ notes: 'once more' });
    await desk.decide(mine, second);
    const result = await desk.execute(second, callerIn(mine));
    assert.ok(result.kind === 'ordered' && result.earlier);
    assert.deepEqual(
      placed().map(({ id }) => id),
      [result.order.id],
    );
    const known = await desk.execute(first, callerIn(mine, { generation: 2 }));
    assert.deepEqual(known, { kind: 'ordered', order: result.order });
    // And with that it is over: the next is an order of its own.
    const third = await ask({ notes: 'another day' });
    await desk.decide(mine, third);
    assert.equal((await desk.execute(third, callerIn(mine))).kind, 'ordered');
    assert.equal(placed().length, 2);
  });

  it('are not sent again under a key that the orders service may have forgotten', async () => {
    const id = await ask();
    await desk.decide(mine, id);
    desk.fake.faults(({ path }) => (path === '/v1/orders' ? 'place-and-lose' : undefined));
    await assert.rejects(desk.execute(id, callerIn(mine)), away);
    desk.fake.faults(() => undefined);
    const old =
      "UPDATE chat.tool_call SET claimed_at = now() - interval '23 hours 1 minute' WHERE call_key = $1";
    await inTenant(pool, mine.tenant_id, (client) => client.query(old, [`approval:${id}`]));
    const asked = desk.fake.requests.length;
    for (const generation of [2, 3]) {
      const result = await desk.execute(id, callerIn(mine, { generation }));
      assert.deepEqual(result, { kind: 'blocked', code: 'key_too_old' });
    }
    assert.equal(desk.fake.requests.length, asked);
  });

  it('are carried out by the youngest worker alone', async () => {
    const id = await ask();
    await desk.decide(mine, id);
    let overtaken = false;
    const slow = approvalExecution({
      pool,
      orders: desk.orders,
      failpoint: async (name) => {
        if (name !== 'order.answered' || overtaken) return;
        overtaken = true;
        desk.fake.faults(({ path }) => (path === '/v1/orders' ? 503 : undefined));
        // It has the claim by then, and no answer.
        await assert.rejects(desk.execute(id, callerIn(mine, { generation: 2 })), away);
        desk.fake.faults(() => undefined);
      },
    });
    await assert.rejects(slow(id, callerIn(mine)), CutError);
    const result = await desk.execute(id, callerIn(mine, { generation: 3 }));
    assert.equal(result.kind, 'ordered');
    assert.equal(placed().length, 1);
  });

  it('of a user who may act no more place nothing', async () => {
    const id = await ask();
    await desk.decide(mine, id);
    desk.fake.disable(mine.user_id);
    const result = await desk.execute(id, callerIn(mine));
    assert.deepEqual([result.kind, 'code' in result && result.code], ['refused', 'forbidden']);
    assert.deepEqual(placed(), []);
  });
});
