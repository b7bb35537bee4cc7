/** An event's path through this instance: the live plane's part and the group's. */
import { groupId } from './consumer.ts';
import type { createRecent } from './recent.ts';
import type { NotificationStore } from './store.ts';

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
  groups: { group: string; outcome: string; attempts: number | null; at: string }[];
};

export type TraceOptions = {
  instance: string;
  live: (eventId: string) => LiveTrace | undefined;
  recent: ReturnType<typeof createRecent>;
  store: Pick<NotificationStore, 'fate'>;
};

// Outcomes of records that somebody, or a person, will go on with.
const putAside: ReadonlySet<string> = new Set(['parked', 'dead-lettered']);

/**
 * Gives undefined when nothing is known of the event, or nothing that the asker may see.
 *
 * @param tenantId whose events the asker sees; undefined: everyone's
 */
export function traceFrom({ instance, live, recent, store }: TraceOptions) {
  return async (eventId: string, tenantId: string | undefined): Promise<Trace | undefined> => {
    const isSeen = (owner: string | undefined) => tenantId === undefined || owner === tenantId;
    const received = onlyIf(live(eventId), ({ tenant_id }) => isSeen(tenant_id));
    const handled = onlyIf(recent.of(eventId), ({ tenant_id }) => isSeen(tenant_id));
    // Another instance may have handled it, also what this one put aside: the inbox is everyone's.
    const isOpen = handled === undefined || putAside.has(handled.outcome);
    const fate = isOpen ? await store.fate(groupId, eventId, tenantId) : undefined;
    const groups = [];
    if (handled !== undefined && fate === undefined) {
      const { outcome, attempts, at } = handled;
      groups.push({ group: groupId, outcome, attempts, at });
    } else if (fate !== undefined) {
      groups.push({ group: groupId, outcome: fate.outcome, attempts: null, at: fate.at.toISOString() });
    }
    if (received === undefined && groups.length === 0) return undefined;
    const place = received ?? handled;
    return {
      instance,
      topic: place?.topic ?? null,
      partition: place?.partition ?? null,
      offset: place?.offset ?? null,
      received_at: received?.received_at ?? null,
      sockets: received?.sockets ?? 0,
      sse: received?.sse ?? 0,
      groups,
    };
  };
}

function onlyIf<T>(value: T | undefined, test: (value: T) => boolean): T | undefined {
  return value !== undefined && test(value) ? value : undefined;
}
