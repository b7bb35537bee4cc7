/** The latest records that this instance's group member was done with: what an event's trace can say of attempts. */
import type { Finished } from '@ragline/streams/consumer';

export type Handled = {
  tenant_id: string | undefined;
  topic: string;
  partition: number;
  offset: string;
  outcome: string;
  attempts: number;
  at: string;
};

// Some minutes of a busy system, in a few megabytes; what is older says the inbox, without attempts.
const keptMax = 20_000;

export function createRecent() {
  const byEvent = new Map<string, Handled>();

  return {
    add({ record, event, outcome, attempts }: Finished): void {
      const id = event?.event_id ?? idHeader(record.headers.id);
      if (id === undefined) return;
      // A duplicate says nothing of the attempt that took effect.
      if (outcome === 'duplicate' && byEvent.has(id)) return;
      const { topic, partition, offset } = record;
      const at = new Date().toISOString();
      byEvent.delete(id);
      byEvent.set(id, { tenant_id: event?.tenant_id, topic, partition, offset, outcome, attempts, at });
      if (byEvent.size <= keptMax) return;
      const { value: oldest } = byEvent.keys().next();
      if (oldest !== undefined) byEvent.delete(oldest);
    },
    of: (eventId: string): Handled | undefined => byEvent.get(eventId),
  };
}

function idHeader(header: Finished['record']['headers'][string]): string | undefined {
  const value = Array.isArray(header) ? header.at(-1) : header;
  const id = value?.toString();
  return id !== undefined && id.length <= 64 ? id : undefined;
}
