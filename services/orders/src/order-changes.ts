/** Steps of an order: decided under its row's lock, written with their event. */
import { appendOutbox } from '@ragline/postgres/outbox';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { problem } from '@ragline/web/problems';
import type { Actor, Events } from './events.ts';
import { requireVersion } from './if-match.ts';
import { findOrder, updateOrder } from './order-store.ts';
import { giveBackUse } from './promotion-store.ts';
import { objectionTo } from './transitions.ts';
import type { Order, OrderStatus } from './types.ts';

export type Step = {
  actor: Actor;
  /** Customers reach their own orders alone; another's is not found. */
  as: 'customer' | 'staff';
  orderId: string;
  to: OrderStatus;
  ifMatch?: string | undefined;
  reason?: string | undefined;
};

/**
 * Takes an order one step on. Of two at once one waits for the other's row and then decides by what it finds.
 *
 * Throws Problem not_found, version_mismatch or illegal_transition.
 */
export async function changeOrder(
  { pool, events }: { pool: Pool; events: Events },
  step: Step,
): Promise<Order> {
  const { actor, as, orderId, to, ifMatch, reason } = step;
  const { tenant_id, user_id } = actor;
  return inTenant(pool, tenant_id, async (client) => {
    const owner = as === 'customer' ? user_id : undefined;
    const found = await findOrder(client, tenant_id, orderId, { userId: owner, lock: true });
    if (found === undefined) throw problem('not_found');
    const { order: before, promotionId, completedAtMs } = found;
    requireVersion(ifMatch, before.version);

    // A clock that was set back must not make an order older than it was.
    const atMs = Math.max(Date.now(), Date.parse(before.updated_at));
    const objection = objectionTo({ status: before.status, completedAtMs }, to, as, atMs);
    if (objection !== undefined) throw problem('illegal_transition', objection);

    const updated_at = new Date(atMs).toISOString();
    const order: Order = { ...before, status: to, version: before.version + 1, updated_at };
    const isWritten = await updateOrder(
      client,
      { order, completedAtMs: to === 'completed' ? atMs : undefined },
      to === 'cancelled' ? reason : undefined,
    );
    // Only without the lock above; kept so that a lost update is an error and never a silent one.
    if (!isWritten) throw problem('conflict', 'The order was changed at the same moment.');
    if (to === 'cancelled' && promotionId !== null) await giveBackUse(client, tenant_id, promotionId);
    await appendOutbox(client, 'orders', [events.orderChanged(order, actor, before.status)]);
    return order;
  });
}
