/** Events of this service, and their bytes. Names of people and what customers wrote are never part of one. */
import { randomUUIDv7 } from 'node:crypto';
import type { OutboxRow } from '@ragline/postgres/outbox';
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { CatalogEvent, OrderEvent } from '@ragline/schemas/types.generated';
import { eventTypeOf } from './transitions.ts';
import type { CatalogueProduct, Order, OrderStatus } from './types.ts';

export type Events = Awaited<ReturnType<typeof createEvents>>;
export type Actor = { tenant_id: string; user_id: string };

/** Looks both schemas up, so that an event costs no lookup; rejects while the registry cannot answer. */
export async function createEvents(codec: Codec) {
  const encodeOrder = await codec.encoder('order_v1');
  const encodeCatalog = await codec.encoder('catalog_v1');

  return {
    orderCreated(order: Order): { event_id: string; payload: Buffer } {
      const event = orderEvent('order_created', order, order.user_id, null);
      return { event_id: event.event_id, payload: encodeOrder(event) };
    },

    orderChanged(order: Order, actor: Actor, previous: OrderStatus): OutboxRow {
      const type = eventTypeOf(order.status);
      const event = orderEvent(type, order, actor.user_id, previous);
      return {
        id: event.event_id,
        topic: topics.orders.name,
        key: order.id,
        event_type: type,
        tenant_id: order.tenant_id,
        user_id: order.user_id,
        traceparent: currentTraceparent(),
        payload: encodeOrder(event),
      };
    },

    productChanged(
      type: 'product_changed' | 'product_deleted',
      product: CatalogueProduct,
      actor: Actor,
    ): OutboxRow {
      const { tenant_id, user_id } = actor;
      const event: CatalogEvent = {
        event_id: randomUUIDv7(),
        event_type: type,
        occurred_at: product.updated_at,
        tenant_id,
        actor_id: user_id,
        product: { ...product, tenant_id },
        document: null,
      };
      return {
        id: event.event_id,
        topic: topics.catalog.name,
        key: product.id,
        event_type: type,
        tenant_id,
        user_id,
        traceparent: currentTraceparent(),
        payload: encodeCatalog(event),
      };
    },
  };
}

function orderEvent(
  event_type: OrderEvent['event_type'],
  { notes: _, items, ...order }: Order,
  actor_id: string,
  previous_status: OrderStatus | null,
): OrderEvent {
  return {
    event_id: randomUUIDv7(),
    event_type,
    occurred_at: order.updated_at,
    tenant_id: order.tenant_id,
    user_id: order.user_id,
    actor_id,
    order: { ...order, items: items.map(({ notes: _, ...item }) => item) },
    previous_status,
  };
}
