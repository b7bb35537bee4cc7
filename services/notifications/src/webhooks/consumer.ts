/** The group webhooks: stores what is to be sent, in the transaction of its inbox rows. It calls nobody. */
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { DecodedEvent } from '@ragline/streams/record';
import type { BatchAttempt } from '@ragline/streams/task';
import { type Listener, listenersOf, type NewMessage, storeMessages } from './delivery-store.ts';
import { bodyOf } from './message.ts';
import { seeAllTenants } from './scope.ts';

/** Not a setting: under another name the group has no offsets, and every event of a month is sent again. */
export const webhookGroupId = 'webhooks';

/** Clocks differ: what happened so shortly before an endpoint was made may have happened after it. */
const skewMs = 5_000;

type Order = Extract<DecodedEvent, { schema: 'order_v1' }>;

/**
 * Stores a delivery for each active endpoint that wants the event. An endpoint is told what happens from its making on:
 * what is read late (an installation that is new to webhooks, a replay) is not told to those who came after it.
 *
 * The group keeps order by key, though deliveries do not: what a failed record of an order brings is stored before its
 * followers are. Errors are left to startConsumer.
 */
export const keepDeliveries =
  (wake: () => void) =>
  async (events: readonly DecodedEvent[], { once }: Pick<BatchAttempt, 'once'>): Promise<string[]> => {
    const told = new Set<string>();
    const fresh = await once(async (client, unhandled) => {
      const orders = events.filter(isOrder).filter(({ event_id }) => unhandled.has(event_id));
      if (orders.length > 0) {
        await seeAllTenants(client);
        const listeners = await listenersOf(client, [...new Set(orders.map(({ tenant_id }) => tenant_id))]);
        const messages = orders.flatMap((event) => messageOf(event, listeners) ?? []);
        await storeMessages(client, messages);
        for (const { event_id } of messages) told.add(event_id);
      }
      return unhandled;
    });
    if (told.size > 0) wake();
    return events.map(({ event_id }) => {
      if (!fresh.has(event_id)) return 'duplicate';
      return told.has(event_id) ? 'stored' : 'ignored';
    });
  };

const isOrder = (event: DecodedEvent): event is Order => event.schema === 'order_v1';

/** undefined when nobody wants it. */
export function messageOf(
  { event_id, event_type, tenant_id, headers, value }: Order,
  listeners: readonly Listener[],
): NewMessage | undefined {
  const happened = Date.parse(value.occurred_at);
  const wanted = listeners.filter(
    (it) =>
      it.tenant_id === tenant_id &&
      it.created_at.getTime() - skewMs <= happened &&
      (it.event_types.includes('*') || it.event_types.includes(event_type)),
  );
  if (wanted.length === 0) return undefined;
  const { occurred_at } = value;
  const traceparent = headers.traceparent ?? currentTraceparent();
  const webhook_ids = wanted.map(({ id }) => id);
  return { tenant_id, event_id, event_type, occurred_at, body: bodyOf(value), traceparent, webhook_ids };
}
