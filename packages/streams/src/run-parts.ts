/** What a partition's run is made of: the work with all that watches over it, and where its records are put aside. */
import type { Logger } from '@ragline/runtime/logger';
import type pg from 'pg';
import { defaultPolicy, type RetryPolicy, type Routes } from './after-failure.ts';
import type { Aside } from './aside.ts';
import type { ConsumerMetrics } from './consumer-metrics.ts';
import type { GroupParking } from './group-parking.ts';
import type { GroupOffsets } from './offsets.ts';
import type { DeadHead } from './parking/decide.ts';
import type { Caps } from './parking/store.ts';
import type { Producer } from './producer.ts';
import type { ConsumedRecord } from './record.ts';
import { createCrashes, postgresRuns, type RunNotes, type RunPlace } from './retry/crashes.ts';
import { createAbandoned, withDeadline } from './retry/deadline.ts';
import { createFloodGuard, type FloodLimits, usualFloodLimits } from './retry/flood-guard.ts';
import { gathered } from './retry/gathered.ts';
import {
  type Addressed,
  createFloodGate,
  type FloodGate,
  ofReturned,
  withFailpoints,
  withFloodGuard,
  withTiming,
} from './retry/guards.ts';
import { replayTopicOf, retryTopicsOf, tierNameOf, tierTopicOf } from './retry/names.ts';
import { notBeforeOf, returnedTask } from './retry/origin.ts';
import { createTiers } from './retry/tiers.ts';
import { newTask, type Task, type Work } from './task.ts';

export type RetryOptions = {
  /** For `once`, for parking, and for counting records that end the process: without it they end it for ever. */
  pool?: pg.Pool;
  /** The waits before the second attempt, the third, and so on; and at most what is added to each. */
  retry?: { delaysMs: readonly number[]; jitterMs?: number };
  /** dead-letter: after the last wait, `<group>.dlq`. keep-trying: in its place for ever; nothing is put aside. */
  whenExhausted?: 'dead-letter' | 'keep-trying';
  /** By key: wait: the followers of a dead letter wait for an operator. skip: they go on without it. */
  deadHead?: DeadHead;
  /** By key: what may wait in Postgres; above it the partition waits. */
  caps?: Partial<Caps>;
  /** What becomes of an error, by its code or the name of its class, against the general rule. */
  routes?: Routes;
  /** A handler that takes longer is aborted and has failed; 60 s. */
  handlerDeadlineMs?: number;
  /** When the group waits because most of what it tries fails; false: never. */
  floodGuard?: FloodLimits | false;
  /** Whether records may ask for failures by the header x-ragline-failpoint. */
  failpoints?: boolean;
};

export type RunParts<E> = {
  work: Work<E>;
  aside: Aside<E>;
  policy: RetryPolicy;
  taskOf: (record: ConsumedRecord, now: number) => Task<E>;
  flood: FloodGate<E> | undefined;
  onFenced(): void;
};

export type RunPartsOptions<E> = {
  options: RetryOptions;
  groupId: string;
  order: 'by-key' | 'none';
  producer: Producer;
  offsets: GroupOffsets;
  work: Work<E>;
  shown: ConsumerMetrics;
  log: Logger;
  parkingOf: GroupParking<E> | undefined;
};

const usualDeadlineMs = 60_000;
const abandonedMax = 100;

export function createRunParts<E extends Addressed>(parts: RunPartsOptions<E>) {
  const { options, groupId, order, producer, offsets, shown, log } = parts;
  const { pool, routes = {}, handlerDeadlineMs = usualDeadlineMs } = options;
  const policy = policyOf(options);
  const { delaysMs, whenExhausted } = policy;
  const hasTiers = order === 'none' && whenExhausted === 'dead-letter';
  const tiers = new Map(delaysMs.map((delayMs) => [tierTopicOf(groupId, delayMs), tierNameOf(delayMs)]));
  const parkingOf = order === 'by-key' && whenExhausted === 'dead-letter' ? parts.parkingOf : undefined;
  if (order === 'by-key' && whenExhausted === 'dead-letter' && parkingOf === undefined) {
    throw new TypeError(`Group ${groupId} keeps order: its records wait in Postgres, so it needs a pool`);
  }

  const together = gathered(producer);
  // Kept trying, a group has no dead letters that could be filled.
  const { floodGuard = usualFloodLimits } = options;
  const limits = whenExhausted === 'keep-trying' ? false : floodGuard;
  shown.flooded(false);
  const guard =
    limits === false
      ? undefined
      : createFloodGuard(limits, Date.now, (isShut) => {
          shown.flooded(isShut);
          if (isShut)
            log.error('group waits: most of what it tried has failed', { group: groupId, ...limits });
          else log.warn('group goes on: what it tried has worked', { group: groupId });
        });

  if (pool === undefined)
    log.warn('records that end the process are not counted: no pool', { group: groupId });
  const abandoned = createAbandoned(abandonedMax, (count) => {
    shown.abandoned(count);
    if (count >= abandonedMax) log.error('handlers that were given up do not end', { group: groupId, count });
  });
  const crashes =
    pool === undefined
      ? undefined
      : createCrashes({
          store: postgresRuns(pool, groupId),
          whenCrashed: whenExhausted === 'keep-trying' ? 'wait' : 'give-up',
          groupId,
          log,
          async bounds({ topic, partition }) {
            const [committed, ends] = await Promise.all([offsets.committed(topic), offsets.ends(topic)]);
            return { committed: committed.get(partition), end: ends?.get(partition) };
          },
        });

  /** @param onFenced told when another owner has the partition's lease */
  function partsOf({ topic, partition }: RunPlace, onLost: () => void): RunParts<E> {
    const tier = tiers.get(topic);
    const isReturned = hasTiers && (tier !== undefined || topic === replayTopicOf(groupId));
    // Of a record that comes back: the handler's event says where it was first met.
    const returnedAt = new WeakMap<E, bigint>();
    const offsetOf = (event: E) => returnedAt.get(event) ?? BigInt(event.offset);
    const notes = crashes?.notesOf<E>({ topic, partition }, offsetOf);
    const onFenced = () => {
      notes?.lost();
      onLost();
    };

    let work = options.failpoints ? withFailpoints(parts.work) : parts.work;
    work = withTiming(work, (seconds) => shown.handled(topic, seconds));
    work = withDeadline(work, handlerDeadlineMs, abandoned);
    if (notes) work = notes.guard(work);
    // What has failed before says nothing new, and an operator's replays must neither stop the group nor wait for it.
    const besides = work;
    const flooding = isReturned ? undefined : guard;
    if (flooding) work = withFloodGuard(work, flooding);
    if (isReturned) work = ofReturned(work, returnedAt, (record) => showLateness(tier, record));

    // What an operator sends back is tried once: the tiers have had their turn.
    const own = topic === replayTopicOf(groupId) && hasTiers ? { ...policy, delaysMs: [] } : policy;
    const aside =
      parkingOf?.({ topic, partition }, besides, own, onFenced, ({ record }) => {
        void notes?.settled(BigInt(record.offset));
      }) ?? createTiers<E>({ groupId, producer: together, pool, policy: own, isReturned, log });
    const taskOf = isReturned ? returnedTask<E> : newTask<E>;
    const flood = flooding && createFloodGate<E>(flooding, routes, `${topic}/${partition}`);
    return { work, aside: notes ? withNotes(aside, notes) : aside, policy: own, taskOf, flood, onFenced };
  }

  function showLateness(tier: string | undefined, record: ConsumedRecord): void {
    const notBefore = notBeforeOf(record);
    if (tier === undefined || notBefore === undefined) return;
    shown.late(tier, Math.max(0, Date.now() - notBefore) / 1_000);
  }

  return {
    /** What the group reads beside its own topics. */
    returning: hasTiers ? retryTopicsOf(groupId, delaysMs) : [],
    /** Whether the topic's records wait until they are due. */
    isTier: (topic: string): boolean => hasTiers && tiers.has(topic),
    isFlooded: (): boolean => guard?.isShut() ?? false,
    partsOf,
  };
}

function policyOf({ retry, whenExhausted, routes }: RetryOptions): RetryPolicy {
  const { delaysMs, jitterMs } = { ...defaultPolicy, ...retry };
  return {
    delaysMs,
    jitterMs,
    whenExhausted: whenExhausted ?? defaultPolicy.whenExhausted,
    routes: routes ?? {},
  };
}

/** Notes are open before anything is tried, also by what runs aside; and a record's count is kept until it is stored there. */
function withNotes<E>(aside: Aside<E>, notes: RunNotes<E>): Aside<E> {
  let isOpen = false;
  let hasEnded = false;
  return {
    ...aside,
    async open() {
      // Once: to acquire anew would be to fence oneself.
      if (!isOpen) await aside.open();
      isOpen = true;
      // It may have waited long, and the partition be another's by now.
      if (!hasEnded) await notes.open();
    },
    async setAside(task, step, error) {
      const outcome = await aside.setAside(task, step, error);
      if (outcome !== undefined) await notes.settled(BigInt(task.record.offset));
      return outcome;
    },
    end() {
      hasEnded = true;
      aside.end?.();
    },
    async close() {
      hasEnded = true;
      await aside.close();
      await notes.close();
    },
  };
}
