/**
 * One process of the group: the real assignment, partitions, owners and drivers, and around them what consumer.ts
 * and kafkajs do: it hears of rebalances late, fetches, commits, and hands handlers their records.
 */

import type { RetryPolicy } from '../after-failure.ts';
import type { Aside } from '../aside.ts';
import { createAssignment } from '../assignment.ts';
import type { Clock } from '../clock.ts';
import { PermanentError } from '../errors.ts';
import type { DeadHead } from '../parking/decide.ts';
import { createParking } from '../parking/owner.ts';
import type { Caps, Letter, ParkingStore, Place } from '../parking/store.ts';
import { createPartitionRun, type PartitionRun } from '../partition.ts';
import { type ConsumedRecord, textHeaders } from '../record.ts';
import { createSlots } from '../slots.ts';
import type { Work } from '../task.ts';
import { type Cluster, place } from './cluster.ts';
import type { Tx } from './database.ts';
import { createHandlers, type Event } from './handler.ts';
import { createModelStore, type ModelStoreOptions } from './model-store.ts';
import { plantedAside, plantedStore } from './planted.ts';
import type { Actor } from './scheduler.ts';

export type ProcessOptions = ModelStoreOptions & {
  cluster: Cluster;
  caps: Caps;
  delaysMs: readonly number[];
  deadHead: DeadHead;
  /** Records are handled many at a time where possible. */
  inBatches: boolean;
  temper: Map<string, number>;
  /** Whether handlers and connections fail at present. */
  mayFail(): boolean;
};

export type Process = ReturnType<typeof createProcess>;

type Position = { next: number | undefined; isPaused: boolean };

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const commitEveryMs = 250;

export function createProcess(name: string, options: ProcessOptions) {
  const { cluster, scheduler, random, truth, fault, count, say, mayFail } = options;
  const actor: Actor = { name, state: 'up' };
  const clock: Clock = { now: scheduler.now, after: (ms, then) => scheduler.after(actor, ms, then) };
  const slots = createSlots(1 + random.int(3));
  const work = workOf();
  const policy: RetryPolicy = {
    delaysMs: options.delaysMs,
    jitterMs: 20,
    whenExhausted: 'dead-letter',
    routes: {},
  };
  let generation = 0;
  // Whether a new assignment's fetch may be on its way beside the last one's.
  const overlaps = random.chance(0.2);
  const fetchers = new Set<number>();
  let positions = new Map<number, Position>();
  let isRebalancing = false;

  function workOf(): Work<Event> {
    // The owner hands the transaction through, whatever it is.
    const txOf = (client: object) => client as unknown as Tx;
    const { one, many } = createHandlers(actor, { ...options, txOf });
    return {
      admit: eventOf,
      identityOf: ({ event_id }) => ({ event_id, tenant_id: 'tenant' }),
      one,
      many: options.inBatches ? many : undefined,
    };
  }

  async function announce(_: Place, { recordId, deaths, event_id }: Letter): Promise<void> {
    const produce = async () => {
      await scheduler.turn(actor);
      truth.announced(recordId, deaths);
      count('dead letters produced');
      say('announced', event_id);
      await scheduler.turn(actor);
    };
    if (fault === 'mark-before-produce') void produce();
    else await produce();
    if (mayFail() && random.chance(0.02)) throw new Error('Kafka does not answer');
  }

  function makeRun(_: string, partition: number): PartitionRun {
    const position = { next: undefined, isPaused: false };
    positions.set(partition, position);
    const model = createModelStore(actor, options);
    const onFenced = () => {
      say('fenced', name, partition);
      run.end();
      run.abort();
      if (fault !== 'fenced-is-final') assignment.fenced(place.topic, partition);
    };
    const shared = { work, slots, policy, clock, random: random.next, log: quiet, onFenced };
    const aside: Aside<Event> = createParking<Event>({
      ...shared,
      place: { ...place, partition },
      owner: name,
      store: plantedStore(model, actor, options) as unknown as ParkingStore,
      deadHead: options.deadHead,
      caps: options.caps,
      announce,
      onFinished: () => {},
    });
    const run = createPartitionRun<Event>({
      ...shared,
      topic: place.topic,
      partition,
      order: 'by-key',
      aside: plantedAside(aside, actor, options),
      onFinished({ record: { offset } }, outcome) {
        say('done', `${partition}/${offset}`, outcome, 'by', name);
        finished.set(partition, Math.max(finished.get(partition) ?? 0, Number(offset) + 1));
      },
      onFetching(wanted) {
        position.isPaused = !wanted;
      },
      batchMax: 3,
    });
    return run;
  }

  const finished = new Map<number, number>();
  const assignment = createAssignment({
    makeRun,
    async committedOffsets(_, partitions) {
      await scheduler.turn(actor);
      return new Map(partitions.map((p) => [p, BigInt(cluster.committed(p))] as const));
    },
    onGone() {},
  });

  /** It hears of the group's last rebalance. */
  function join(): void {
    isRebalancing = false;
    generation = cluster.generation();
    positions = new Map();
    finished.clear();
    const partitions = cluster.partitionsOf(actor);
    say('joined', name, 'generation', generation, partitions.join());
    assignment.join(partitions.length === 0 ? {} : { [place.topic]: partitions });
    for (const p of partitions) {
      // kafkajs may have asked for the offset before the join is told of, or after.
      const position = positions.get(p);
      if (position !== undefined && random.chance(0.5)) position.next = cluster.committed(p);
      follow(p);
    }
  }

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => void scheduler.after(actor, ms, resolve));

  function seek(p: number, to: number): void {
    const position = positions.get(p);
    if (position !== undefined) position.next = to;
  }

  /** Goes on over joins: what was fetched before one is handed over after it. */
  async function fetching(p: number, since: number): Promise<void> {
    for (;;) {
      await scheduler.turn(actor);
      if (overlaps && generation !== since) return;
      const position = positions.get(p);
      if (position === undefined) {
        fetchers.delete(p);
        return;
      }
      position.next ??= cluster.committed(p);
      const from = position.next;
      const records = position.isPaused ? [] : cluster.fetch(p, from, 1 + random.int(3));
      const next = from + records.length;
      // On its way; a join may come before it.
      await (records.length === 0 ? pause(20 + random.int(60)) : scheduler.turn(actor));
      if (records.length === 0) continue;
      const fetched = { topic: place.topic, partition: p, records: [...records] };
      const offsets = { from: BigInt(from), next: BigInt(next), highWatermark: BigInt(next) };
      const taken = await assignment.take({ ...fetched, ...offsets }, () => seek(p, next));
      if (taken.kind !== 'dropped') say('fetched', `${p}/${from}-${next}`, taken.kind, 'by', name);
      // A seek is the consumer's, whatever it has joined meanwhile.
      if (taken.kind === 'rewind') seek(p, Number(taken.at));
    }
  }

  function follow(p: number): void {
    if (fetchers.has(p) && !overlaps) return;
    fetchers.add(p);
    fetching(p, generation).catch(() => {});
  }

  async function commit(): Promise<void> {
    const uncommitted = assignment.uncommitted();
    const of = generation;
    for (const { partitions } of uncommitted.topics) {
      for (const { partition, offset } of partitions) {
        const upTo =
          fault === 'commit-highest'
            ? Math.max(Number(offset), finished.get(partition) ?? 0)
            : Number(offset);
        await scheduler.turn(actor);
        if (!cluster.commit(partition, upTo, of)) return;
      }
    }
    assignment.committed(uncommitted);
  }

  async function committing(): Promise<void> {
    for (;;) {
      await pause(random.int(commitEveryMs));
      await commit();
    }
  }

  // What does not hold is kept by whoever found it.
  committing().catch(() => {});

  return {
    actor,
    /** A heartbeat, if it is able to: whoever missed a rebalance is told so. */
    heartbeat(): void {
      if (actor.state !== 'up') return;
      if (generation === cluster.generation()) {
        for (const run of assignment.runs()) run.holdBack(false);
        assignment.confirmed();
      } else if (isRebalancing || random.chance(0.5)) join();
      else {
        // kafkajs says so before it joins anew: the last moment for a commit of this assignment.
        isRebalancing = true;
        for (const run of assignment.runs()) run.holdBack(true);
        commit().catch(() => {});
      }
    },
    /** It is gone without a word; its open transactions stay until the server notices. */
    crash(): void {
      actor.state = 'down';
      generation = -1;
      scheduler.forget(actor);
    },
  };
}

function eventOf({ partition, offset, key, headers }: ConsumedRecord): Event {
  if (key === null) throw new PermanentError('key_missing', 'The record has no key');
  const { id = '' } = textHeaders(headers);
  return { p: partition, place: Number(offset), event_id: id };
}
