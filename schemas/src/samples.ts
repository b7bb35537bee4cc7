/** Values for tests and benchmarks, as the services would make them. */
import { randomUUIDv7 } from 'node:crypto';
import type { OrderEvent } from './types.generated.ts';

/** An order_created of one line; a caller names only what it is about. */
export function anOrderEvent(changes: Partial<OrderEvent> = {}): OrderEvent {
  const now = new Date().toISOString();
  const tenantId = changes.tenant_id ?? randomUUIDv7();
  const userId = changes.user_id ?? randomUUIDv7();
  return {
    event_id: randomUUIDv7(),
    event_type: 'order_created',
    occurred_at: now,
    tenant_id: tenantId,
    user_id: userId,
    actor_id: userId,
    order: {
      id: randomUUIDv7(),
      tenant_id: tenantId,
      user_id: userId,
      status: 'pending',
      items: [
        { product_id: randomUUIDv7(), name: 'Crème brûlée', quantity: 2, unit_price: 650, line_total: 1300 },
      ],
      currency: 'EUR',
      subtotal: 1300,
      discount: 0,
      total: 1300,
      promo_code: null,
      version: 1,
      created_at: now,
      updated_at: now,
    },
    previous_status: null,
    ...changes,
  };
}
