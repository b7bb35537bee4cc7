/** Events of notifications.v1 as rows of the outbox. */
import type { OutboxRow } from '@ragline/postgres/outbox';
import { topics } from '@ragline/schemas/topics';
import type { NotificationEvent } from '@ragline/schemas/types.generated';

export type Encode = (event: NotificationEvent) => Buffer;

export function outboxRow(event: NotificationEvent, traceparent: string, encode: Encode): OutboxRow {
  const { event_id, event_type, tenant_id, user_id, audience } = event;
  return {
    id: event_id,
    topic: topics.notifications.name,
    // What is for staff has no user; the tenant keeps it in order.
    key: audience === 'staff' ? tenant_id : user_id,
    event_type,
    tenant_id,
    user_id,
    traceparent,
    payload: encode(event),
  };
}
