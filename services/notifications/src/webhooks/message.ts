/** What a receiver is sent: the body, and the headers that sign it (Standard Webhooks). */
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { Webhook } from 'standardwebhooks';

/** Events that an endpoint can ask for. */
export const eventTypes = ['order_created', 'order_status_changed', 'order_cancelled'] as const;
/** Sent on request alone, to whatever an endpoint listens. */
export const testEventType = 'webhook_test';

/**
 * The most that is sent. The specification recommends less than 20 kB, which an order of some sixty lines is; only what
 * no receiver would take any more is cut.
 */
export const bodyBytesMax = 256 * 1_024;

/**
 * The body for an event: its value as on Kafka, which has no notes. An order too large to send comes without its items,
 * and says how many there are.
 */
export function bodyOf(event: OrderEvent): string {
  const { event_type: type, occurred_at: timestamp, order } = event;
  const whole = JSON.stringify({ type, timestamp, data: event });
  if (Buffer.byteLength(whole) <= bodyBytesMax) return whole;
  const data = { ...event, order: { ...order, items: [], items_omitted: order.items.length } };
  return JSON.stringify({ type, timestamp, data });
}

export function testBodyOf(event: {
  event_id: string;
  tenant_id: string;
  webhook_id: string;
  at: Date;
}): string {
  const { event_id, tenant_id, webhook_id, at } = event;
  const occurred_at = at.toISOString();
  const data = { event_id, event_type: testEventType, occurred_at, tenant_id, webhook_id };
  return JSON.stringify({ type: testEventType, timestamp: occurred_at, data });
}

/**
 * @param id stable over all tries, and without a full stop, which parts what is signed
 * @param secrets all that are good now, newest first: a receiver that has any of them can verify
 */
export function headersOf(
  id: string,
  at: Date,
  body: string,
  secrets: readonly string[],
): Record<string, string> {
  return {
    'content-type': 'application/json',
    'user-agent': 'RAGline-Webhooks/1',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}
