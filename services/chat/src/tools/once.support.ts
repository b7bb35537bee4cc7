/**
 * Schedules of workers that die: each one carries out the same approved order until it is killed at a named place, while
 * the border loses, delays and refuses requests and prices change. What must hold is in `judge`.
 */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import type { FakeOrders } from '../../../../tests/support/fake-orders.ts';
import { CutError } from '../domain.ts';
import { approvalExecution, type Executed } from './approvals.ts';
import { OrdersError } from './orders-error.ts';
import { aConversation, type Conversation, callerIn, type Desk } from './tools.support.ts';

/** Each place where a worker can die, in the order of one that does not. */
export const places = [
  'execute.begin',
  'claim.begin',
  'claim.locked',
  'claim.claimed',
  'claim.commit',
  'claim.committed',
  'order.send',
  'order.answered',
  'settle.begin',
  'settle.locked',
  'settle.replaced',
  'settle.settled',
  'settle.commit',
  'settle.committed',
] as const;
export type Place = (typeof places)[number];

/** Each place where a worker that asks for an approval can die. */
export const askingPlaces = [
  'confirm.begin',
  'confirm.quoted',
  'confirm.open',
  'confirm.claimed',
  'confirm.commit',
  'confirm.committed',
] as const;

export type Death = {
  at: Place;
  /** What happens to this worker's request on its way. */
  border?: 'lose' | 'place-and-lose' | 'late' | 503;
  /** Another worker of the same turn runs beside it. */
  beside?: boolean;
  /** Prices change after it died: `back` to what was approved. */
  price?: 'other' | 'back';
  /** Everything that was late arrives after it died. */
  release?: boolean;
};

class Killed extends Error {}

export type Counts = { kills: number; orders: number; replaced: number };

/** Runs one schedule on a conversation of its own, to the end that a worker without a death reaches. */
export async function runSchedule(pool: Pool, desk: Desk, deaths: readonly Death[]): Promise<Counts> {
  const conversation = await aConversation(pool);
  const dish = randomUUIDv7();
  desk.fake.price(dish, 950);
  const counts = { kills: 0, orders: 0, replaced: 0 };
  let approvalId = await askFor(desk, conversation, dish);
  await desk.decide(conversation, approvalId);
  let generation = 0;

  for (const death of deaths) {
    generation += 1;
    const workers = [dying(pool, desk, conversation, approvalId, generation, death, counts)];
    if (death.beside) {
      generation += 1;
      workers.push(dying(pool, desk, conversation, approvalId, generation, { at: death.at }, counts));
    }
    await Promise.all(workers);
    if (death.price !== undefined) desk.fake.price(dish, death.price === 'back' ? 950 : 990);
    if (death.release) desk.fake.release();
  }

  const orders = desk.anotherClient();
  let result: Executed | undefined;
  for (let round = 0; round < 4; round++) {
    generation += 1;
    // A worker that nothing happens to.
    result = await approvalExecution({ pool, orders })(approvalId, callerIn(conversation, { generation }));
    if (result.kind !== 'refused' || result.approval === undefined) break;
    counts.replaced += 1;
    approvalId = result.approval.approval_id;
    await desk.decide(conversation, approvalId);
  }
  orders.stop();
  desk.fake.release();
  await judge(pool, desk.fake, conversation, approvalId, result);
  counts.orders = desk.fake.placed.filter(({ user_id }) => user_id === conversation.user_id).length;
  return counts;
}

/**
 * Asks for an approval, dies at that place, and asks again as the turn's next worker, at another price; gives how many
 * approvals there are then, and how many wait.
 */
export async function askTwice(
  pool: Pool,
  desk: Desk,
  at: (typeof askingPlaces)[number],
): Promise<{ made: number; waiting: number }> {
  const conversation = await aConversation(pool);
  const dish = randomUUIDv7();
  const turn = callerIn(conversation);
  desk.fake.price(dish, 950);
  desk.parts.failpoint = (name) => {
    if (name === at) throw new Killed();
  };
  await assert.rejects(askFor(desk, conversation, dish, turn));
  delete desk.parts.failpoint;
  desk.fake.price(dish, 990);
  const first = await askFor(desk, conversation, dish, { ...turn, generation: 2 });
  assert.equal(await askFor(desk, conversation, dish, { ...turn, generation: 3 }), first);
  const { rows } = await inTenant(pool, conversation.tenant_id, (client) =>
    client.query<{ state: string }>('SELECT state FROM chat.approval WHERE conversation_id = $1', [
      conversation.conversation_id,
    ]),
  );
  return { made: rows.length, waiting: rows.filter(({ state }) => state === 'pending').length };
}

async function askFor(
  desk: Desk,
  conversation: Conversation,
  dish: string,
  caller = callerIn(conversation),
): Promise<string> {
  const call = {
    id: 'call',
    name: 'confirm',
    arguments: JSON.stringify({ items: [{ product_id: dish, quantity: 2 }] }),
  };
  const outcome = await desk.registry.call(call, caller);
  if (!outcome.ok || outcome.approval === undefined) throw new Error(`confirm: ${outcome.content}`);
  return outcome.approval.approval_id;
}

/** A worker that ends at its place, or before it where its request was lost. */
async function dying(
  pool: Pool,
  { fake, anotherClient }: Desk,
  conversation: Conversation,
  approvalId: string,
  generation: number,
  { at, border }: Death,
  counts: Counts,
): Promise<void> {
  const death = new AbortController();
  const failpoint = (name: string) => {
    if (name !== at) return;
    death.abort(new Killed());
    throw new Killed();
  };
  let isFirst = true;
  fake.faults(({ method, path, key }) => {
    if (border === undefined || method !== 'POST' || path !== '/v1/orders' || key === undefined || !isFirst)
      return;
    isFirst = false;
    // Its worker does not live to see it arrive.
    if (border === 'late') setImmediate(() => death.abort(new Killed()));
    return border;
  });
  // A process of its own has a breaker of its own.
  const orders = anotherClient();
  const execute = approvalExecution({ pool, orders, failpoint });
  try {
    await execute(approvalId, callerIn(conversation, { generation, signal: death.signal }));
  } catch (error) {
    if (error instanceof CutError) return;
    // Dead, or without an answer from the border: to the order it is the same.
    if (!(error instanceof Killed || (error instanceof OrdersError && error.retriable))) throw error;
    counts.kills += 1;
  } finally {
    orders.stop();
    fake.faults(() => undefined);
  }
}

async function judge(
  pool: Pool,
  fake: FakeOrders,
  { tenant_id, user_id, conversation_id }: Conversation,
  approvalId: string,
  result: Executed | undefined,
): Promise<void> {
  const placed = fake.placed.filter((order) => order.user_id === user_id);
  assert.equal(placed.length, 1, `${placed.length} orders were placed`);
  assert.equal(result?.kind, 'ordered');
  assert.equal(result.order.id, placed[0]?.id, 'the order that was told is the one that there is');
  const { rows } = await inTenant(pool, tenant_id, (client) =>
    client.query<{ id: string; state: string; order_id: string | null }>(
      'SELECT id, state, order_id FROM chat.approval WHERE conversation_id = $1 ORDER BY id',
      [conversation_id],
    ),
  );
  const used = rows.filter(({ state }) => state === 'used');
  assert.deepEqual(used, [{ id: approvalId, state: 'used', order_id: placed[0]?.id }]);
}
