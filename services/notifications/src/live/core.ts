/**
 * The core of the live plane: topics, ring, groups, fan-out, catching up and replaying put together. It knows no
 * Kafka, no HTTP and no clock of its own.
 */
import type { CursorSealer } from '@ragline/streams/cursor';
import type { FetchedPartition } from '@ragline/streams/tail-records';
import { type Clock, createCatchup } from './catchup.ts';
import type { Decode, Entry, LiveTopic } from './entry.ts';
import { createFanout, topicAt } from './fanout.ts';
import { createGroups } from './groups.ts';
import { newLiveStats } from './live-stats.ts';
import { createReplayer } from './replayer.ts';
import { createRing } from './ring.ts';
import {
  type Filter,
  newSubscription,
  type Outlet,
  type Selector,
  type Subscription,
  type Vector,
} from './subscription.ts';

export type LiveLimits = {
  ringBytes: number;
  ringEntries: number;
  /** Unsent bytes of a socket above which it is fed from the ring at its own pace. */
  softLimitBytes: number;
  sliceWrites: number;
};

export const defaultLimits: LiveLimits = {
  ringBytes: 64 * 1024 * 1024,
  ringEntries: 200_000,
  softLimitBytes: 64 * 1024,
  sliceWrites: 1_000,
};

export type SubscribeHow = {
  since: string | undefined;
  /** What to do with a text that was never sealed here. */
  onBadCursor: 'refuse' | 'gap';
  filter?: Filter | undefined;
};

export type LiveCore = ReturnType<typeof createLiveCore>;

export function createLiveCore(parts: {
  /** Names; their order is that of the vectors in a cursor over several topics. */
  topics: string[];
  sealer: CursorSealer;
  decode: Decode;
  clock: Clock;
  read: (topic: LiveTopic, offsets: ReadonlyMap<number, number>) => Promise<FetchedPartition[]>;
  endOffsets: (topic: LiveTopic) => Promise<number[]>;
  onDelivered?: (entry: Entry) => void;
  onHidden?: (entry: Entry) => void;
  limits?: Partial<LiveLimits>;
}) {
  const { sealer, decode, clock, read, endOffsets, onDelivered = () => {}, onHidden = () => {} } = parts;
  const limits = { ...defaultLimits, ...parts.limits };
  const { softLimitBytes, sliceWrites } = limits;
  const topics: LiveTopic[] = parts.topics.map((name, index) => ({
    index,
    name,
    epoch: 0,
    next: [],
    floor: [],
  }));
  const stats = newLiveStats();
  const groups = createGroups();
  const subscriptions = new Set<Subscription>();
  const ring = createRing({ topics, bytesMax: limits.ringBytes, entriesMax: limits.ringEntries });
  const fanout = createFanout({
    ...{ topics, ring, groups, sealer, decode, stats, softLimitBytes, sliceWrites, onDelivered, onHidden },
    now: clock.now,
    nextTurn: () => new Promise((resolve) => clock.soon(resolve)),
    fallBehind: (subscription) => catchup.fallBehind(subscription),
  });
  const catchup = createCatchup({
    ...{ topics, ring, groups, fanout, stats, clock, softLimitBytes, endOffsets },
    replay: (subscription, topic) => replayers[topic.index]?.add(subscription),
  });
  const replayers = topics.map((topic) => createReplayer({ topic, read, catchup, stats, clock }));

  const named = (name: string) => topics.find((it) => it.name === name);

  function gapAll(topic: LiveTopic, reason: 'epoch_changed' | 'expired' | 'truncated'): void {
    fanout.moved();
    for (const subscription of subscriptions) {
      if (subscription.topics.includes(topic.index)) catchup.gap(subscription, reason);
    }
  }

  return {
    stats,
    ring,
    topics,

    /** A topic begins, or has begun anew: then nothing of the old one counts. */
    opened(name: string, at: { epoch: number; next: number[]; isRecreated: boolean }): void {
      const topic = named(name);
      if (topic === undefined) return;
      topic.epoch = at.epoch;
      topic.next = [...at.next];
      topic.floor = [...at.next];
      if (!at.isRecreated) return;
      ring.drop((entry) => entry.topic === topic.index);
      gapAll(topic, 'epoch_changed');
    },

    /** Records between the instance's place and `next` are gone. */
    moved(name: string, partition: number, next: number, reason: 'expired' | 'truncated'): void {
      const topic = named(name);
      if (topic === undefined) return;
      topic.next[partition] = next;
      topic.floor[partition] = next;
      ring.drop((it) => it.topic === topic.index && it.partition === partition);
      gapAll(topic, reason);
    },

    ingest: (fetched: FetchedPartition[]): Promise<void> => fanout.ingest(fetched, named),

    /**
     * Subscribes from now, or from a cursor. The cursor gives a place, never rights. A cursor of another epoch is
     * told as a gap. The filter is the core's from here on, which releases it at the end.
     */
    subscribe(
      outlet: Outlet,
      tenant: string,
      selectors: readonly Selector[],
      { since, onBadCursor, filter }: SubscribeHow,
    ): Subscription | undefined {
      const subscription = newSubscription(outlet, tenant, selectors, filter);
      const positions = since === undefined ? undefined : sealer.open(since);
      if (since !== undefined && positions === undefined && onBadCursor === 'refuse') {
        filter?.release();
        return undefined;
      }
      subscriptions.add(subscription);
      if (since === undefined) catchup.begin(subscription);
      else if (positions === undefined) catchup.gap(subscription, 'bad_cursor');
      else {
        const from: Vector = [];
        for (const index of subscription.topics) {
          const { epoch, next } = topicAt(topics, index);
          const found = positions.find((it) => it.epoch === epoch && it.next.length === next.length);
          if (found !== undefined) from[index] = [...found.next];
        }
        if (subscription.topics.every((index) => from[index] !== undefined))
          catchup.resume(subscription, from);
        else catchup.gap(subscription, 'epoch_changed');
      }
      return subscription;
    },

    /** Whether a text was sealed by a holder of our keys. */
    isCursor: (text: string): boolean => sealer.open(text) !== undefined,

    unsubscribe(subscription: Subscription): void {
      if (subscriptions.delete(subscription)) subscription.filter?.release();
      catchup.close(subscription);
    },

    /** Other rights than before, from the next batch on. */
    reselect(subscription: Subscription, selectors: readonly Selector[]): void {
      fanout.betweenBatches(() => catchup.reselect(subscription, selectors));
    },

    /** The place of everything LIVE, so that a quiet client's cursor is young. BEHIND ones have their events'. */
    heartbeat(subscription: Subscription): void {
      fanout.betweenBatches(() => {
        const { outlet, waits, behind } = subscription;
        if (waits !== 'closed' && behind === null && outlet.isOpen)
          outlet.socket.write(catchup.cursorFrame(subscription));
      });
    },

    drained: catchup.drained,
    counts: () => ({
      live: groups.members.size,
      behind: subscriptions.size - groups.members.size,
      replaying: replayers.reduce((sum, it) => sum + it.waiting(), 0),
    }),
  };
}
