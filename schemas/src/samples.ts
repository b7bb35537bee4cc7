/** Values for tests and benchmarks, as the services would make them. */
import { randomUUIDv7 } from 'node:crypto';
import type { DeadLetterEvent, OrderEvent } from './types.generated.ts';

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

/** A dead_letter_kept of the group notifications; a caller names only what it is about. */
export function aDeadLetterEvent(changes: Partial<DeadLetterEvent> = {}): DeadLetterEvent {
  return {
    event_id: randomUUIDv7(),
    event_type: 'dead_letter_kept',
    occurred_at: new Date().toISOString(),
    tenant_id: randomUUIDv7(),
    user_id: '',
    letter: {
      id: randomUUIDv7(),
      state: 'waiting',
      group: 'notifications',
      topic: 'orders.v1',
      partition: 3,
      offset: '9007199254740993',
      event_id: randomUUIDv7(),
      event_type: 'order_created',
      error_code: 'malformed',
      error_class: 'PermanentError',
      fingerprint: '1:5f2c',
      attempts: 1,
      version: 1,
    },
    alert: null,
    ...changes,
  };
}
