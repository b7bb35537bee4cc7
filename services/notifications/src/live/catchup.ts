/**
 * Catching up: subscriptions that are BEHIND, because they resume, were slow, or come from another instance.
 *
 * All three are the same state. It is fed from the ring, below the floor by the replayer, and ends in the same turn
 * of the event loop in which nothing is left to send: so nothing can come in between.
 */
import { createCursorFrames } from './cursor-frames.ts';
import type { Entry, LiveTopic } from './entry.ts';
import type { Fanout } from './fanout.ts';
import { topicAt } from './fanout.ts';
import { eventFrame, messageFrame } from './frames.ts';
import type { Groups } from './groups.ts';
import type { GapReason, LiveStats } from './live-stats.ts';
import type { Ring } from './ring.ts';
import { channelsOf, entitling, type Outlet, type Subscription, type Vector } from './subscription.ts';

export type Catchup = ReturnType<typeof createCatchup>;

/** What a client does to time; a test brings its own. */
export type Clock = {
  now(): number;
  /** Soon, in another turn of the event loop. */
  soon(run: () => void): void;
  after(ms: number, run: () => void): void;
};

const turnMs = 4;
const eventsAtOnce = 64;
const entriesAtOnce = 5_000;
const aheadRetryMs = 5;
const aheadMs = 2_000;

export function createCatchup(parts: {
  topics: LiveTopic[];
  ring: Ring;
  groups: Groups;
  fanout: Fanout;
  stats: LiveStats;
  clock: Clock;
  softLimitBytes: number;
  replay: (subscription: Subscription, topic: LiveTopic) => void;
  /** Kafka's own ends of a topic, to tell a lost tail from an instance that is late. */
  endOffsets: (topic: LiveTopic) => Promise<number[]>;
}) {
  const { topics, ring, groups, fanout, stats, clock, softLimitBytes, replay, endOffsets } = parts;
  // By tenant, taken in turn: a tenant with a thousand resumes does not hold up another's one.
  const queues = new Map<string, Set<Subscription>>();
  let isTurnDue = false;
  const cursorFrame = createCursorFrames(fanout);

  function queue(subscription: Subscription): void {
    if (subscription.waits === 'closed') return;
    subscription.waits = 'turn';
    const own = queues.get(subscription.tenant);
    if (own !== undefined) own.add(subscription);
    else queues.set(subscription.tenant, new Set([subscription]));
    if (!isTurnDue) {
      isTurnDue = true;
      clock.soon(turn);
    }
  }

  function turn(): void {
    isTurnDue = false;
    const until = clock.now() + turnMs;
    for (const [tenant, own] of queues) {
      queues.delete(tenant);
      const [subscription] = own;
      if (subscription !== undefined) {
        own.delete(subscription);
        if (own.size > 0) queues.set(tenant, own);
        if (subscription.waits === 'turn') pump(subscription);
      }
      if (clock.now() >= until) break;
    }
    if (queues.size > 0 && !isTurnDue) {
      isTurnDue = true;
      clock.soon(turn);
    }
  }

  /** The vector that a LIVE subscription has: the instance's own. */
  function vectorOf(subscription: Subscription): Vector {
    const vector: Vector = [];
    for (const index of subscription.topics) vector[index] = [...topicAt(topics, index).next];
    return vector;
  }

  function waitForDrain(subscription: Subscription): void {
    const { outlet } = subscription;
    subscription.waits = 'drain';
    outlet.blockedSince ??= clock.now();
    if (outlet.draining === undefined) {
      outlet.draining = new Set();
      outlet.socket.once('drain', () => drained(outlet));
    }
    outlet.draining.add(subscription);
  }

  /** The socket has taken everything: its subscriptions go on. */
  function drained(outlet: Outlet): void {
    const waiting = outlet.draining ?? [];
    outlet.blockedSince = undefined;
    outlet.draining = undefined;
    for (const subscription of waiting) queue(subscription);
  }

  function isFull(outlet: Outlet): boolean {
    return outlet.socket.writableLength > softLimitBytes;
  }

  /** An event as this subscription must have it: under its own channel, with its own place. */
  function frameOf(subscription: Subscription, entry: Entry, behind: Vector): Buffer | undefined {
    const selector = entitling(subscription, entry);
    if (selector === undefined || !fanout.ready(entry)) return undefined;
    // Like what it may not have: passed over, never a gap.
    if (subscription.filter?.admits(entry) === false) return undefined;
    const vector = behind[entry.topic];
    if (vector === undefined) return undefined;
    vector[entry.partition] = entry.offset + 1;
    const cursor = fanout.cursor(subscription.topics, behind);
    subscription.recovered += 1;
    const { format } = subscription.outlet;
    stats.deliveries[format] += 1;
    if (format === 'ws') entry.sockets += 1;
    else entry.sse += 1;
    return eventFrame(format, { channel: selector.channel, cursor, ...entry.content });
  }

  function pump(subscription: Subscription): void {
    const { outlet, behind } = subscription;
    if (behind === null || !outlet.isOpen) return;
    for (const index of subscription.topics) {
      const topic = topicAt(topics, index);
      if (topic.floor.some((floor, partition) => (behind[index]?.[partition] ?? 0) < floor)) {
        subscription.waits = 'replay';
        subscription.isReplayed = true;
        replay(subscription, topic);
        return;
      }
    }
    const end = sendFromRing(subscription, behind);
    if (isFull(outlet)) waitForDrain(subscription);
    else if (end === 'more') queue(subscription);
    else if (isAhead(subscription, behind)) waitForInstance(subscription);
    else {
      goLive(subscription);
      const complete = channelsOf(subscription).map((channel) =>
        messageFrame(outlet.format, recovered(channel, subscription.recovered)),
      );
      stats.resumes[subscription.isReplayed ? 'kafka' : 'ring'] += 1;
      outlet.socket.write(Buffer.concat([...complete, cursorFrame(subscription)]));
    }
  }

  function sendFromRing(subscription: Subscription, behind: Vector): 'more' | 'all' {
    const list = ring.listOf(subscription.tenant);
    if (list === undefined) return 'all';
    if (subscription.list !== list) {
      subscription.list = list;
      subscription.place = list.first;
    }
    const frames: Buffer[] = [];
    let bytes = 0;
    let looked = 0;
    let at = list.head + Math.max(0, subscription.place - list.first);
    for (; at < list.entries.length; at += 1) {
      if (frames.length === eventsAtOnce || looked === entriesAtOnce || bytes > softLimitBytes) break;
      looked += 1;
      const entry = list.entries[at];
      if (entry === undefined || entry.offset < (behind[entry.topic]?.[entry.partition] ?? Infinity))
        continue;
      const frame = frameOf(subscription, entry, behind);
      if (frame === undefined) continue;
      frames.push(frame);
      bytes += frame.length;
    }
    subscription.place = list.first + at - list.head;
    if (frames.length > 0) {
      stats.writes += 1;
      subscription.outlet.socket.write(Buffer.concat(frames, bytes));
    }
    return at < list.entries.length ? 'more' : 'all';
  }

  function isAhead(subscription: Subscription, behind: Vector): boolean {
    return subscription.topics.some((index) => {
      const { next } = topicAt(topics, index);
      return behind[index]?.some((offset, partition) => offset > (next[partition] ?? 0)) ?? false;
    });
  }

  /** Its last instance had read further than this one: normal for milliseconds. */
  function waitForInstance(subscription: Subscription): void {
    subscription.waits = 'later';
    subscription.aheadSince ??= clock.now();
    if (clock.now() - subscription.aheadSince < aheadMs) {
      clock.after(aheadRetryMs, () => {
        if (subscription.waits === 'later') queue(subscription);
      });
      return;
    }
    subscription.aheadSince = clock.now();
    void isBeyondKafka(subscription).then((isLost) => {
      if (subscription.waits !== 'later') return;
      if (isLost) gap(subscription, 'truncated');
      else queue(subscription);
    });
  }

  // A storm of clients that are ahead asks Kafka once, not once each.
  const asked = new Map<LiveTopic, Promise<number[]>>();

  function endsOf(topic: LiveTopic): Promise<number[]> {
    const ends = asked.get(topic) ?? endOffsets(topic).finally(() => asked.delete(topic));
    asked.set(topic, ends);
    return ends;
  }

  async function isBeyondKafka(subscription: Subscription): Promise<boolean> {
    try {
      for (const index of subscription.topics) {
        const ends = await endsOf(topicAt(topics, index));
        const vector = subscription.behind?.[index];
        if (vector?.some((offset, partition) => offset > (ends[partition] ?? 0))) return true;
      }
    } catch {
      // Kafka is away; this instance is late and says so by not being ready.
    }
    return false;
  }

  function goLive(subscription: Subscription): void {
    subscription.behind = null;
    subscription.waits = 'nothing';
    subscription.list = undefined;
    subscription.aheadSince = undefined;
    fanout.joinGroup(subscription);
  }

  function gap(subscription: Subscription, reason: GapReason): void {
    if (subscription.waits === 'closed') return;
    const { outlet } = subscription;
    groups.leave(subscription);
    outlet.draining?.delete(subscription);
    queues.get(subscription.tenant)?.delete(subscription);
    stats.gaps[reason] += 1;
    goLive(subscription);
    if (!outlet.isOpen) return;
    const told = channelsOf(subscription).map((channel) =>
      messageFrame(outlet.format, { type: 'gap', channel, reason }),
    );
    outlet.socket.write(Buffer.concat([...told, cursorFrame(subscription)]));
  }

  return {
    queue,
    gap,
    frameOf,
    cursorFrame,
    isFull,
    waitForDrain,
    drained,

    /** LIVE from now on, without a past. */
    begin(subscription: Subscription): void {
      goLive(subscription);
      subscription.outlet.socket.write(cursorFrame(subscription));
    },

    /** BEHIND from a position that the client brought. */
    resume(subscription: Subscription, from: Vector): void {
      subscription.behind = from;
      queue(subscription);
    },

    /** From LIVE to BEHIND at the end of its own write: the whole batch was handed to the socket. */
    fallBehind(subscription: Subscription): void {
      groups.leave(subscription);
      stats.fellBehind += 1;
      setBehind(subscription, vectorOf(subscription));
      waitForDrain(subscription);
    },

    /** From LIVE to BEHIND between two batches, to come back with other selectors. */
    reselect(subscription: Subscription, selectors: Subscription['selectors']): void {
      if (subscription.waits === 'closed') return;
      // Most new tokens allow what the old one did.
      if (JSON.stringify(selectors) === JSON.stringify(subscription.selectors)) return;
      if (subscription.behind === null) {
        groups.leave(subscription);
        setBehind(subscription, vectorOf(subscription));
        queue(subscription);
      }
      subscription.selectors = selectors;
      // What it skipped under its old rights stays skipped; the list is looked through again from its place.
    },

    close(subscription: Subscription): void {
      subscription.waits = 'closed';
      groups.leave(subscription);
      subscription.outlet.draining?.delete(subscription);
      queues.get(subscription.tenant)?.delete(subscription);
    },
  };
}

function setBehind(subscription: Subscription, behind: Vector): void {
  subscription.behind = behind;
  subscription.recovered = 0;
  subscription.isReplayed = false;
  subscription.list = undefined;
}

function recovered(channel: string, count: number) {
  return { type: 'recovered', channel, count, complete: true };
}
