/** Tells a tenant's staff that an endpoint was disabled: a notification like others, in the transaction that disables it. */
import { randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import type { NotificationStore } from '../store.ts';
import type { Claimed } from './claim.ts';
import type { DisabledReason } from './decide.ts';

/** Asked for before a transaction: it may have to ask the registry, and rejects where that does not answer. */
export type Notifier = () => Promise<Notify>;
export type Notify = (client: Client, claimed: Claimed, reason: DisabledReason) => Promise<void>;

const kind = 'webhook_disabled';

const why: Record<DisabledReason, string> = {
  gone: 'it answered 410 Gone',
  failing: 'it has failed for too long',
  exhausted: 'too many deliveries in a row were given up',
};

export const notifyStaff =
  (store: Pick<NotificationStore, 'keeper'>): Notifier =>
  async () => {
    const keep = await store.keeper();
    return (client, claimed, reason) => keep(client, [noticeOf(claimed, reason)]);
  };

function noticeOf({ tenant_id, url, traceparent }: Claimed, reason: DisabledReason) {
  const event_id = randomUUIDv7();
  // The host alone: what follows it may be a secret of the receiver's.
  const title = `Webhook to ${new URL(url).hostname} was disabled: ${why[reason]}`;
  const notification = {
    tenant_id,
    audience: 'staff',
    user_id: null,
    kind,
    event_id,
    order_id: null,
    title,
  } as const;
  return { event_id, traceparent, notifications: [notification] };
}
