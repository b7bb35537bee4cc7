/** An event's path through this instance: the live plane's part and the group's. */
import { groupId } from './consumer.ts';
import type { createRecent } from './recent.ts';
import type { NotificationStore } from './store.ts';
import { webhookGroupId } from './webhooks/consumer.ts';
import type { TracedDelivery } from './webhooks/delivery-store.ts';

/** What the live plane knows of an event it has received. */
export type LiveTrace = {
  tenant_id: string;
  topic: string;
  partition: number;
  offset: string;
  received_at: string;
  sockets: number;
  sse: number;
};

export type Trace = {
  instance: string;
  topic: string | null;
  partition: number | null;
  offset: string | null;
  received_at: string | null;
  sockets: number;
  sse: number;
  groups: GroupTrace[];
  webhooks: TracedDelivery[];
};

export type GroupTrace = { group: string; outcome: string; attempts: number | null; at: string };

export type TraceOptions = {
  instance: string;
  live: (eventId: string) => LiveTrace | undefined;
  recent: ReturnType<typeof createRecent>;
  store: Pick<NotificationStore, 'fate'>;
  webhooks: {
    recent: ReturnType<typeof createRecent>;
    tracedDeliveries(eventId: string, tenantId: string | undefined): Promise<TracedDelivery[]>;
  };
};

// Outcomes of records that somebody, or a person, will go on with.
const putAside: ReadonlySet<string> = new Set(['parked', 'dead-lettered']);

/**
 * Gives undefined when nothing is known of the event, or nothing that the asker may see.
 *
 * @param tenantId whose events the asker sees; undefined: everyone's
 */
export function traceFrom({ instance, live, recent, store, webhooks }: TraceOptions) {
  const members = [
    { group: groupId, recent },
    { group: webhookGroupId, recent: webhooks.recent },
  ];

  return async (eventId: string, tenantId: string | undefined): Promise<Trace | undefined> => {
    const isSeen = (owner: string | undefined) => tenantId === undefined || owner === tenantId;
    const received = onlyIf(live(eventId), ({ tenant_id }) => isSeen(tenant_id));
    const groups: GroupTrace[] = [];
    let place: { topic: string; partition: number; offset: string } | undefined = received;
    for (const { group, recent: finished } of members) {
      const handled = onlyIf(finished.of(eventId), ({ tenant_id }) => isSeen(tenant_id));
      // Another instance may have handled it, also what this one put aside: the inbox is everyone's.
      const isOpen = handled === undefined || putAside.has(handled.outcome);
      const fate = isOpen ? await store.fate(group, eventId, tenantId) : undefined;
      if (fate !== undefined) {
        groups.push({ group, outcome: fate.outcome, attempts: null, at: fate.at.toISOString() });
      } else if (handled !== undefined) {
        const { outcome, attempts, at } = handled;
        groups.push({ group, outcome, attempts, at });
      }
      place ??= handled;
    }
    const deliveries = await webhooks.tracedDeliveries(eventId, tenantId);
    if (received === undefined && groups.length === 0 && deliveries.length === 0) return undefined;
    return {
      instance,
      topic: place?.topic ?? null,
      partition: place?.partition ?? null,
      offset: place?.offset ?? null,
      received_at: received?.received_at ?? null,
      sockets: received?.sockets ?? 0,
      sse: received?.sse ?? 0,
      groups,
      webhooks: deliveries,
    };
  };
}

function onlyIf<T>(value: T | undefined, test: (value: T) => boolean): T | undefined {
  return value !== undefined && test(value) ? value : undefined;
}
