/**
 * The feed of one instance: reads all of chat.events.v1 from its end, without a group, and hands each event to who
 * reads its conversation here. A reader that comes back, to whatever instance, gets what it missed from Kafka.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { type Codec, CodecError } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { createCursorSealer } from '@ragline/streams/cursor';
import { partitionOf } from '@ragline/streams/partition-of';
import { createReplayReader } from '@ragline/streams/replay';
import { startTail, type TailStatus } from '@ragline/streams/tail';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import type { FetchedPartition, TailRecord } from '@ragline/streams/tail-records';
import { problem } from '@ragline/web/problems';
import { type ShownEvent, shownEvent } from './event.ts';
import { createPlaces, type Place } from './place.ts';
import { createReplayer } from './replayer.ts';
import { type Address, createSubscription, type GapReason, type Subscription } from './subscription.ts';

export type Feed = Awaited<ReturnType<typeof startFeed>>;

export type FeedOptions = {
  kafka: KafkaAccess;
  clientId: string;
  codec: Pick<Codec, 'decode'>;
  /** The setting CURSOR_KEYS. */
  cursorKeys: string;
  log: Logger;
  metrics?: Metrics;
  /** chat.events.v1, unless a test has its own. */
  topic?: string;
  /** What may wait for one reader. */
  bytesMax?: number;
  /** How many conversations of one user may be read again at a time; as many as come when not given. */
  resumesOfUserMax?: number | undefined;
};

export type Reading = {
  /** A cursor of this conversation; without one the reader begins now. */
  since?: string | undefined;
  isWanted?: (event: ShownEvent) => boolean;
};

const usualBytesMax = 1024 * 1024;
const registryAwayMs = 500;
// What may lie between a cursor and now, all conversations of the partition counted.
const missedMax = 500_000;

/** Begins to read at once, and repeats for ever while Kafka is away: `status` says how far it is. */
export function startFeed(options: FeedOptions) {
  const { kafka, clientId, codec, cursorKeys, log, topic = topics.chatEvents.name } = options;
  const { resumesOfUserMax = Number.POSITIVE_INFINITY } = options;
  const places = createPlaces(createCursorSealer({ keys: cursorKeys }));
  const reader = createReplayReader({ client: createTailClient({ kafka, clientId: `${clientId}-again` }) });
  const readers = new Map<string, Set<Subscription>>();
  const open = options.metrics?.gauge('ragline_chat_readers', 'Conversations that are read here.');
  const gaps = options.metrics?.counter(
    'ragline_chat_reader_gaps_total',
    'Times that a reader had to be told that events are missing.',
    ['reason'],
  );
  let at: { epoch: number; next: number[] } | undefined;
  let isStopping = false;

  /** Waits while the registry is away: going on would show an event to nobody, and never again. */
  async function decoded(record: TailRecord): Promise<ShownEvent | undefined> {
    if (record.value === null) return undefined;
    for (let isFirst = true; !isStopping; isFirst = false) {
      try {
        const { name, value } = await codec.decode(record.value);
        const event = name === 'chat_event_v1' ? shownEvent(record, value) : undefined;
        if (event === undefined) log.warn('record shown to nobody', { topic, offset: record.offset });
        return event;
      } catch (error) {
        if (error instanceof CodecError) {
          log.warn('record shown to nobody', { topic, offset: record.offset, reason: error.code });
          return undefined;
        }
        if (isFirst) log.warn('readers of conversations wait for the registry', { error });
        await delay(registryAwayMs);
      }
    }
    return undefined;
  }

  const replayer = createReplayer({ topic, reader, decoded, log });

  async function take({ partition, records, next }: FetchedPartition): Promise<void> {
    for (const record of records) {
      const key = record.key?.toString() ?? '';
      const event = readers.has(key) ? await decoded(record) : undefined;
      // From here on without a pause: who begins to read is either before this record or behind it.
      if (at === undefined) return;
      at.next[partition] = record.offset + 1;
      if (event === undefined) continue;
      const place = { epoch: at.epoch, next: record.offset + 1 };
      for (const it of readers.get(key) ?? []) it.live(event, place, record.value?.length ?? 0);
    }
    if (at !== undefined && next !== undefined) at.next[partition] = next;
  }

  /** Where the conversation's partition has been read to; undefined before Kafka has answered once. */
  function placeNow(conversationId: string): Place | undefined {
    if (at === undefined) return undefined;
    const next = at.next[partitionOf(conversationId, at.next.length)] ?? 0;
    return { epoch: at.epoch, next, last: undefined };
  }

  /** All readers whose partition it is begin anew from where the tail is. */
  function tellGap(reason: GapReason, partition?: number): void {
    const count = at?.next.length ?? 0;
    for (const [conversationId, all] of readers) {
      if (partition !== undefined && partitionOf(conversationId, count) !== partition) continue;
      for (const it of all) {
        it.gap(reason, placeNow(conversationId));
        replayer.leave(it);
      }
    }
  }

  const tail = startTail({
    client: createTailClient({ kafka, clientId: `${clientId}-feed` }),
    topics: [{ name: topic, from: 'back' }],
    backRecords: 0,
    sink: {
      opened(_topic, { epoch, next, isRecreated }) {
        at = { epoch, next: [...next] };
        if (isRecreated) tellGap('reset');
      },
      async batch(partitions) {
        for (const part of partitions) await take(part);
      },
      moved(_topic, partition, next, reason) {
        if (at === undefined) return;
        at.next[partition] = next;
        tellGap(reason === 'expired' ? 'expired' : 'reset', partition);
      },
    },
    log,
  });

  /** What was missed since the cursor, then what is new. */
  function resume(subscription: Subscription, since: string, now: Place): void {
    const { conversation_id } = subscription.address;
    const from = places.open(conversation_id, since);
    if (from === undefined || from.epoch !== now.epoch) {
      subscription.begin(now);
      subscription.gap(from === undefined ? 'bad_cursor' : 'reset', now);
      return;
    }
    subscription.begin(from);
    // Another instance may have read further than this one; what it told is not told again.
    if (from.next >= now.next) return;
    if (now.next - from.next > missedMax) {
      subscription.gap('expired', now);
      return;
    }
    subscription.holdBack();
    const partition = partitionOf(conversation_id, at?.next.length ?? 1);
    replayer.add(subscription, { partition, epoch: now.epoch, next: from.next, until: now.next });
  }

  return {
    status: (): TailStatus => tail.status(),
    readers: (): number => [...readers.values()].reduce((sum, { size }) => sum + size, 0),

    /** The cursor of now: call it before asking, and nothing of the answer is missed. */
    cursorNow(conversationId: string): string | undefined {
      const now = placeNow(conversationId);
      return now && places.seal(conversationId, now);
    },

    cursorOf: (conversationId: string, place: Place): string => places.seal(conversationId, place),

    /** What the reader has of its conversation: good for going on from, also where nothing was said for long. */
    cursorOfReader(subscription: Subscription): string | undefined {
      const { conversation_id } = subscription.address;
      const taken = subscription.taken();
      const now = placeNow(conversation_id);
      // Nothing waits for it, so it has everything up to where the tail is.
      const isAhead =
        now !== undefined && subscription.isEmpty() && (taken === undefined || now.next > taken.next);
      const place = isAhead ? { ...now, last: taken?.last } : taken;
      return place && places.seal(conversation_id, place);
    },

    /**
     * Whose conversation it is has been looked at before. Throws a problem `rate_limited` for one that is to be read
     * again while too many of its user are.
     */
    read(address: Address, { since, isWanted = () => true }: Reading = {}): Subscription {
      const { conversation_id } = address;
      if (since !== undefined && replayer.waitingOf(address) >= resumesOfUserMax) {
        throw problem('rate_limited', 'Too many conversations are being read again.');
      }
      const all = readers.get(conversation_id) ?? new Set();
      const subscription: Subscription = createSubscription(address, {
        isWanted,
        bytesMax: options.bytesMax ?? usualBytesMax,
        onGap: (reason) => gaps?.inc({ reason }),
        onClose() {
          all.delete(subscription);
          open?.dec();
          if (all.size === 0 && readers.get(conversation_id) === all) readers.delete(conversation_id);
        },
      });
      readers.set(conversation_id, all.add(subscription));
      open?.inc();
      if (isStopping) {
        subscription.close('restart');
        return subscription;
      }
      const now = placeNow(conversation_id);
      if (since !== undefined && now !== undefined) resume(subscription, since, now);
      else if (now !== undefined) subscription.begin(now);
      else if (since !== undefined) subscription.gap('unavailable', undefined);
      return subscription;
    },

    async stop(): Promise<void> {
      if (isStopping) return;
      isStopping = true;
      replayer.stop();
      for (const all of [...readers.values()]) for (const it of [...all]) it.close('restart');
      await tail.stop();
      await reader.stop();
    },
  };
}
