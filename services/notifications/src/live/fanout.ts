/**
 * Fan-out: takes records in, and writes each to every LIVE subscription that may have it: decoded once, framed
 * once, one write a subscription and batch.
 */
import type { CursorSealer } from '@ragline/streams/cursor';
import type { FetchedPartition } from '@ragline/streams/tail-records';
import { type Decode, type Entry, entryFrom, type LiveTopic, prepare } from './entry.ts';
import { eventFrame } from './frames.ts';
import type { Audience, Groups } from './groups.ts';
import type { LiveStats } from './live-stats.ts';
import type { Ring } from './ring.ts';
import type { Subscription, Vector } from './subscription.ts';

export type Fanout = ReturnType<typeof createFanout>;

export function createFanout(parts: {
  topics: LiveTopic[];
  ring: Ring;
  groups: Groups;
  sealer: Pick<CursorSealer, 'seal'>;
  decode: Decode;
  stats: LiveStats;
  now: () => number;
  /** Lets the event loop turn. */
  nextTurn: () => Promise<void>;
  /** A socket that takes no more: the subscription has had the whole batch. */
  fallBehind: (subscription: Subscription) => void;
  softLimitBytes: number;
  /** Writes in one turn of the event loop. */
  sliceWrites: number;
  /** Called once for each record that somebody would have had, but may be shown to nobody. */
  onHidden: (entry: Entry) => void;
  /** Called once for each event that was written to somebody. */
  onDelivered: (entry: Entry) => void;
}) {
  const { topics, ring, groups, sealer, decode, stats } = parts;
  const { now, nextTurn, fallBehind, softLimitBytes, sliceWrites } = parts;
  /** Number of the flush in progress; 0 between flushes. */
  let flushing = 0;
  let flushes = 0;
  /** Grows with every move of the instance's vector: what was made from it is good until then. */
  let version = 0;
  let afterFlush: (() => void)[] = [];
  let touched: Audience[] = [];
  let gathering: Subscription[] = [];
  let delivered: Entry[] = [];

  /** The instance's own place in some topics, or a subscription's. */
  function cursor(of: readonly number[], behind: Vector | null): string {
    return sealer.seal(
      of.map((index) => {
        const { epoch, next } = topicAt(topics, index);
        return { epoch, next: behind?.[index] ?? next };
      }),
    );
  }

  function ready(entry: Entry): entry is Entry & { content: { state: 'ready' } } {
    if (entry.content.state === 'raw') {
      const before = entry.content.value.length;
      if (prepare(entry, decode)) {
        stats.decoded += 1;
        ring.resized(entry, entry.bytes - before + entry.content.tail.length);
      } else {
        stats.hidden += 1;
        parts.onHidden(entry);
      }
    }
    return entry.content.state === 'ready';
  }

  function address(entry: Entry): void {
    const found = groups.of(entry);
    if (found.length === 0) {
      stats.skipped += 1;
      return;
    }
    if (!ready(entry)) return;
    const frames = new Map<string, Buffer>();
    const cursors = new Map<string, string>();
    for (const group of found) {
      for (const audience of group.values()) {
        const frame = frames.get(audience.variant) ?? frameFor(entry, audience, cursors);
        frames.set(audience.variant, frame);
        if (audience.members.size > 0) {
          if (audience.pending.length === 0) touched.push(audience);
          audience.pending.push(frame);
        }
        let count = audience.members.size;
        for (const subscription of audience.gatherers) {
          if (subscription.filter?.admits(entry) === false) continue;
          if (subscription.pending.length === 0) gathering.push(subscription);
          subscription.pending.push(frame);
          count += 1;
        }
        if (audience.format === 'ws') entry.sockets += count;
        else entry.sse += count;
        stats.deliveries[audience.format] += count;
      }
    }
    if (entry.sockets + entry.sse > 0) delivered.push(entry);
  }

  function frameFor(
    entry: Entry & { content: { state: 'ready' } },
    audience: Audience,
    cursors: Map<string, string>,
  ): Buffer {
    const name = audience.topics.join('+');
    const sealed = cursors.get(name) ?? cursor(audience.topics, null);
    cursors.set(name, sealed);
    return eventFrame(audience.format, { channel: audience.channel, cursor: sealed, ...entry.content });
  }

  function write(subscription: Subscription, frames: Buffer): void {
    const { outlet } = subscription;
    // It became LIVE while this batch was being written: it had the batch from the ring.
    if (subscription.joinedIn === flushing || !outlet.isOpen) return;
    stats.writes += 1;
    if (!outlet.socket.write(frames) && outlet.socket.writableLength > softLimitBytes)
      fallBehind(subscription);
  }

  /**
   * In slices, so that thousands of writes do not hold up everything else. Cursors were sealed when the batch was
   * taken in, and the next batch waits for the promise, so no slice can pass another.
   */
  async function flush(): Promise<void> {
    const audiences = touched;
    const gatherers = gathering;
    touched = [];
    gathering = [];
    flushes += 1;
    flushing = flushes;
    let writes = 0;
    for (const audience of audiences) {
      const frames = joined(audience.pending);
      audience.pending = [];
      for (const subscription of audience.members) {
        write(subscription, frames);
        writes += 1;
        if (writes % sliceWrites === 0) await nextTurn();
      }
    }
    for (const subscription of gatherers) {
      const frames = joined(subscription.pending);
      subscription.pending = [];
      // It left while slices were written: closed, or moved by hand.
      if (!groups.members.has(subscription)) continue;
      write(subscription, frames);
      writes += 1;
      if (writes % sliceWrites === 0) await nextTurn();
    }
    flushing = 0;
    const waiting = afterFlush;
    afterFlush = [];
    for (const run of waiting) run();
  }

  return {
    cursor,
    ready,
    version: () => version,
    moved(): void {
      version += 1;
    },

    /** One answer of the tail; resolves when every socket has been written to. Calls must not overlap. */
    async ingest(
      fetched: FetchedPartition[],
      topicNamed: (name: string) => LiveTopic | undefined,
    ): Promise<void> {
      const receivedAt = now();
      version += 1;
      for (const { topic: name, partition, records, next } of fetched) {
        const topic = topicNamed(name);
        if (topic === undefined) continue;
        for (const record of records) {
          const entry = entryFrom(record, { topic: topic.index, partition, receivedAt });
          topic.next[partition] = record.offset + 1;
          stats.received += 1;
          if (entry === undefined) continue;
          ring.keep(entry);
          address(entry);
        }
        if (next !== undefined) topic.next[partition] = Math.max(topic.next[partition] ?? 0, next);
      }
      if (touched.length + gathering.length > 0) await flush();
      for (const entry of delivered) parts.onDelivered(entry);
      delivered = [];
    },

    joinGroup(subscription: Subscription): void {
      subscription.joinedIn = flushing;
      groups.join(subscription);
    },

    /** Runs now, or as soon as all sockets have had the batch that is being written. */
    betweenBatches(run: () => void): void {
      if (flushing === 0) run();
      else afterFlush.push(run);
    },
  };
}

export function topicAt(topics: LiveTopic[], index: number): LiveTopic {
  const topic = topics[index];
  if (topic === undefined) throw new RangeError(`no live topic ${index}`);
  return topic;
}

function joined(frames: Buffer[]): Buffer {
  const [only] = frames;
  return only !== undefined && frames.length === 1 ? only : Buffer.concat(frames);
}
