/**
 * The ring: the last records of all topics in order of arrival, bounded in bytes and in number.
 *
 * One ring and not one per partition: evicting is a shift that raises one floor, and catching up needs no merge.
 */
import type { Entry, LiveTopic } from './entry.ts';

/** The same entries of one tenant alone, in the same order, so that a resume reads no others'. */
export type TenantList = {
  entries: Entry[];
  /** Index in `entries` of the oldest that is kept. */
  head: number;
  /** How many entries of this list were evicted: the place of the oldest one, counted from the list's beginning. */
  first: number;
};

/** A client may ask as often as it likes; what is older is asked for elsewhere. */
const lookedThroughMax = 20_000;

export type Ring = ReturnType<typeof createRing>;

export function createRing(options: { topics: LiveTopic[]; bytesMax: number; entriesMax: number }) {
  const { topics, bytesMax, entriesMax } = options;
  let queue: Entry[] = [];
  let head = 0;
  let bytes = 0;
  let lists = new Map<string, TenantList>();

  function evict(): void {
    const entry = queue[head];
    if (entry === undefined) return;
    head += 1;
    bytes -= entry.bytes;
    entry.isKept = false;
    const floor = topics[entry.topic]?.floor;
    if (floor) floor[entry.partition] = Math.max(floor[entry.partition] ?? 0, entry.offset + 1);
    const list = lists.get(entry.tenant);
    if (list !== undefined) {
      list.head += 1;
      list.first += 1;
      if (list.head === list.entries.length) lists.delete(entry.tenant);
      else if (list.head > 1024 && list.head * 2 > list.entries.length) {
        list.entries = list.entries.slice(list.head);
        list.head = 0;
      }
    }
    if (head > 1024 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
  }

  function append(entry: Entry): void {
    queue.push(entry);
    entry.isKept = true;
    bytes += entry.bytes;
    const list = lists.get(entry.tenant);
    if (list === undefined) lists.set(entry.tenant, { entries: [entry], head: 0, first: 0 });
    else list.entries.push(entry);
  }

  function shrink(): void {
    while (queue.length > head && (bytes > bytesMax || queue.length - head > entriesMax)) evict();
  }

  return {
    keep(entry: Entry): void {
      append(entry);
      shrink();
    },

    /** An entry's bytes have changed (decoded: the JSON is larger than Avro). Evicts nothing: the next keep does. */
    resized(entry: Entry, to: number): void {
      if (entry.isKept) bytes += to - entry.bytes;
      entry.bytes = to;
    },

    listOf: (tenant: string): TenantList | undefined => lists.get(tenant),

    /** Takes entries out (a topic made anew, a lost tail). Lists are new objects: whoever reads one starts again. */
    drop(isGone: (entry: Entry) => boolean): void {
      const kept = queue.slice(head).filter((entry) => !isGone(entry));
      queue = [];
      head = 0;
      bytes = 0;
      lists = new Map();
      for (const entry of kept) append(entry);
    },

    /** The entry of an event; rare (traces), so it searches from the newest. */
    find(eventId: string): Entry | undefined {
      for (let i = queue.length - 1; i >= head; i -= 1) if (queue[i]?.id === eventId) return queue[i];
      return undefined;
    },

    /** An entry with this key among the tenant's latest ones. */
    findKey(tenant: string, topic: number, key: string): Entry | undefined {
      const list = lists.get(tenant);
      if (list === undefined) return undefined;
      const last = list.entries.length - 1;
      for (let i = last; i >= list.head && i > last - lookedThroughMax; i -= 1) {
        const entry = list.entries[i];
        if (entry?.key === key && entry.topic === topic) return entry;
      }
      return undefined;
    },

    stats: () => ({ bytes, entries: queue.length - head, oldestAt: queue[head]?.receivedAt }),
  };
}
