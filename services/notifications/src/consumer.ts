/** From the events of orders to notifications: a batch of events in one transaction, that of its inbox rows. */
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { DecodedEvent } from '@ragline/streams/record';
import type { BatchAttempt } from '@ragline/streams/task';
import { notificationsFor } from './domain.ts';
import type { Notice, NotificationStore } from './store.ts';

/** Not a setting: under another name the group has no offsets, and everyone is told everything again. */
export const groupId = 'notifications';

/**
 * Keeps the notifications of a batch; those of events that were handled before bring nothing again.
 *
 * The group keeps order by key: a customer is not told that an order is ready before he is told that it was
 * received, so what follows a failed event of an order waits behind it. No event supersedes an earlier one: each is
 * told. Errors are left to startConsumer, which then tries the events one by one.
 */
export const keepNotifications =
  (store: Pick<NotificationStore, 'keeper'>) =>
  async (events: readonly DecodedEvent[], { once }: Pick<BatchAttempt, 'once'>): Promise<string[]> => {
    const notices = events.map(noticeOf);
    const keep = await store.keeper();
    const fresh = await once(async (client, unhandled) => {
      await keep(
        client,
        notices.filter(({ event_id }) => unhandled.has(event_id)),
      );
      return unhandled;
    });
    return notices.map(({ event_id, notifications }) => {
      if (!fresh.has(event_id)) return 'duplicate';
      return notifications.length > 0 ? 'notified' : 'ignored';
    });
  };

function noticeOf(event: DecodedEvent): Notice {
  const { event_id, headers } = event;
  const notifications = event.schema === 'order_v1' ? notificationsFor(event.value) : [];
  return { event_id, notifications, traceparent: headers.traceparent ?? currentTraceparent() };
}
