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
  // Of its own: a breaker that has opened over one schedule's losses says nothing about the next.
  const orders = desk.anotherClient();
  let approvalId = await askFor(desk, conversation, dish);
  await desk.decide(conversation, approvalId);
  let generation = 0;

  for (const death of deaths) {
    generation += 1;
    const workers = [
      dying(pool, { fake: desk.fake, orders }, conversation, approvalId, generation, death, counts),
    ];
    if (death.beside) {
      generation += 1;
      workers.push(
        dying(
          pool,
          { fake: desk.fake, orders },
          conversation,
          approvalId,
          generation,
          { at: death.at },
          counts,
        ),
      );
    }
    await Promise.all(workers);
    if (death.price !== undefined) desk.fake.price(dish, death.price === 'back' ? 950 : 990);
    if (death.release) desk.fake.release();
  }

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

async function askFor(desk: Desk, conversation: Conversation, dish: string): Promise<string> {
  const call = {
    id: 'call',
    name: 'confirm',
    arguments: JSON.stringify({ items: [{ product_id: dish, quantity: 2 }] }),
  };
  const outcome = await desk.registry.call(call, callerIn(conversation));
  if (!outcome.ok || outcome.approval === undefined) throw new Error(`confirm: ${outcome.content}`);
  return outcome.approval.approval_id;
}

/** A worker that ends at its place, or before it where its request was lost. */
async function dying(
  pool: Pool,
  { fake, orders }: Pick<Desk, 'fake' | 'orders'>,
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
  const execute = approvalExecution({ pool, orders, failpoint });
  try {
    await execute(approvalId, callerIn(conversation, { generation, signal: death.signal }));
  } catch (error) {
    if (error instanceof CutError) return;
    // Dead, or without an answer from the border: to the order it is the same.
    if (!(error instanceof Killed || (error instanceof OrdersError && error.retriable))) throw error;
    counts.kills += 1;
  } finally {
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
