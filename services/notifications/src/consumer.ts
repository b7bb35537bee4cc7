/** From the events of orders to notifications: a batch of events in one transaction with its inbox rows. */
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { DecodedEvent } from '@ragline/streams/record';
import type { Attempt } from '@ragline/streams/task';
import { notificationsFor } from './domain.ts';
import type { Notice, NotificationStore } from './store.ts';

/** Not a setting: under another name the group has no offsets, and everyone is told everything again. */
export const groupId = 'notifications';

/**
 * Keeps the notifications of a batch; safe to call again with the same events.
 *
 * Errors are left to startConsumer, which then tries the events one by one.
 */
export const keepNotifications =
  (store: Pick<NotificationStore, 'keep'>, group = groupId) =>
  async (events: readonly DecodedEvent[], _attempt: Attempt): Promise<string[]> => {
    const notices = events.map(noticeOf);
    const fresh = await store.keep(group, notices);
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
