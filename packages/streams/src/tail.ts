/**
 * The tail: reads all partitions of some topics as an instance of its own, without a group and without commits.
 *
 * One request in flight per broker; positions are held here. A topic that was made anew, a position that retention
 * has passed, and one beyond the end are noticed and told, never stepped over in silence.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@ragline/runtime/logger';
import type { FetchWants, TailClient, TopicPlan } from './tail-client.ts';
import type { FetchedPartition } from './tail-records.ts';

export type TailTopic = {
  name: string;
  /** Where a fresh tail begins: some records before the end, or with the first that is kept. */
  from: 'back' | 'beginning';
};

/** Calls come one at a time: the next waits until the promise of the last is settled. */
export type TailSink = {
  /** A topic begins: at the start, and again when it was made anew (then from its first record). */
  opened(topic: string, at: { epoch: number; next: number[]; isRecreated: boolean }): void;
  batch(partitions: FetchedPartition[]): void | Promise<void>;
  /** What lies between the old position and `next` is gone. */
  moved(topic: string, partition: number, next: number, reason: 'expired' | 'truncated'): void;
};

export type TailStatus = {
  /** ms since 1970; 0 before the first answer. */
  fetchedAt: number;
  /** Since when the end has not been reached; undefined when it was, at the last answer. */
  behindSince: number | undefined;
  /** Records (and markers) between the positions and the ends that Kafka last told. */
  lag: number;
  /** Whether the ends that were taken at the start have been reached. */
  isCaughtUp: boolean;
};

export type Tail = { status(): TailStatus; stop(): Promise<void> };

type Followed = { plan: TopicPlan; next: number[]; ends: number[] };

const maxWaitMs = 500;
const planMs = 60_000;
const repeatMs = 100;
const offsetOutOfRange = 1;

/** Begins at once, and repeats for ever while Kafka is away: `status` says how far it is. */
export function startTail(options: {
  client: TailClient;
  topics: TailTopic[];
  sink: TailSink;
  log: Logger;
  /** How many records of each topic before its end to begin with (topics `from: 'back'`). */
  backRecords?: number;
}): Tail {
  const { client, topics, sink, log, backRecords = 20_000 } = options;
  const followed = new Map<string, Followed>();
  const startEnds = new Map<string, number[]>();
  const loops = new Map<number, Promise<void>>();
  const stopping = new AbortController();
  let fetchedAt = 0;
  let behindSince: number | undefined = Date.now();
  let isCaughtUp = false;
  let failing = false;
  let lastTurn: Promise<unknown> = Promise.resolve();
  let planning: Promise<void> | undefined;
  let plannedAt = Date.now();

  const isStopped = () => stopping.signal.aborted;
  const pause = (ms: number) => delay(ms, undefined, { signal: stopping.signal }).catch(() => {});
  /** Brokers answer side by side, the sink is called one at a time. */
  const inTurn = <T>(run: () => T | Promise<T>): Promise<T> => {
    const turn = lastTurn.then(run);
    lastTurn = turn.catch(() => {});
    return turn;
  };
  const failed = (what: string, error: unknown) => {
    if (!failing) log.warn(what, { error, topics: topics.map((it) => it.name) });
    failing = true;
  };

  async function open({ name, from }: TailTopic): Promise<void> {
    const plan = await client.plan(name);
    const starts = await client.startOffsets(name);
    const ends = await client.stableEndOffsets(name);
    const share = Math.ceil(backRecords / plan.leaders.length);
    const next = plan.leaders.map((_, partition) => {
      const start = starts[partition] ?? 0;
      return from === 'beginning' ? start : Math.max(start, (ends[partition] ?? 0) - share);
    });
    startEnds.set(name, ends);
    followed.set(name, { plan, next, ends: [...ends] });
    sink.opened(name, { epoch: plan.epoch, next: [...next], isRecreated: false });
  }

  /** Leaders as they are now, and whether a topic is still the same one. */
  function replan(): Promise<void> {
    planning ??= (async () => {
      for (const { name } of topics) {
        const plan = await client.plan(name);
        await inTurn(() => adopt(plan));
      }
      plannedAt = Date.now();
      followAll();
    })().finally(() => {
      planning = undefined;
    });
    return planning;
  }

  function followAll(): void {
    for (const { plan } of followed.values()) for (const node of plan.leaders) follow(node);
  }

  function adopt(plan: TopicPlan): void {
    const known = followed.get(plan.topic);
    if (known?.plan.epoch === plan.epoch) {
      known.plan = plan;
      return;
    }
    log.warn('topic was made anew', { topic: plan.topic, partitions: plan.leaders.length });
    const next = plan.leaders.map(() => 0);
    followed.set(plan.topic, { plan, next, ends: [...next] });
    startEnds.set(
      plan.topic,
      next.map(() => 0),
    );
    sink.opened(plan.topic, { epoch: plan.epoch, next: [...next], isRecreated: true });
  }

  function wantsOf(node: number): FetchWants {
    const wants: FetchWants = [];
    for (const { plan, next } of followed.values()) {
      const offsets = new Map<number, number>();
      for (const [partition, offset] of next.entries()) {
        if (plan.leaders[partition] === node) offsets.set(partition, offset);
      }
      if (offsets.size > 0) wants.push({ plan, offsets });
    }
    return wants;
  }

  function follow(node: number): void {
    if (node < 0 || loops.has(node) || isStopped()) return;
    const loop = (async () => {
      while (!isStopped()) {
        const wants = wantsOf(node);
        if (wants.length === 0) return;
        try {
          const fetched = await client.fetch(node, wants, maxWaitMs);
          if (isStopped()) return;
          const faults = await inTurn(() => deliver(wants, fetched));
          if (faults.length > 0) await mend(faults);
          else failing = false;
        } catch (error) {
          if (isStopped()) return;
          failed('tail interrupted', error);
          await pause(repeatMs);
          await replan().catch((cause) => failed('tail interrupted', cause));
        }
      }
    })().finally(() => loops.delete(node));
    loops.set(node, loop);
  }

  async function deliver(wants: FetchWants, fetched: FetchedPartition[]): Promise<FetchedPartition[]> {
    const fresh: FetchedPartition[] = [];
    const faults: FetchedPartition[] = [];
    for (const part of fetched) {
      const topic = followed.get(part.topic);
      // Asked for before the topic was made anew, or before the partition moved to another broker's loop.
      if (topic === undefined || !wants.some(({ plan }) => plan.id === topic.plan.id)) continue;
      if (part.error !== 0) {
        faults.push(part);
        continue;
      }
      const position = topic.next[part.partition] ?? 0;
      topic.ends[part.partition] = Math.max(part.stableEnd, 0);
      if (part.next === undefined || part.next <= position) continue;
      const records = part.records.filter((record) => record.offset >= position);
      fresh.push({ ...part, records });
    }
    if (fresh.length > 0) await sink.batch(fresh);
    for (const part of fresh) {
      const topic = followed.get(part.topic);
      if (topic !== undefined && part.next !== undefined) topic.next[part.partition] = part.next;
    }
    fetchedAt = Date.now();
    noteLag();
    return faults;
  }

  function noteLag(): void {
    isCaughtUp ||=
      startEnds.size === topics.length &&
      [...startEnds].every(([name, ends]) =>
        ends.every((end, partition) => (followed.get(name)?.next[partition] ?? 0) >= end),
      );
    if (lagOf() === 0) behindSince = undefined;
    else behindSince ??= Date.now();
  }

  function lagOf(): number {
    let lag = 0;
    for (const { next, ends } of followed.values()) {
      for (const [partition, end] of ends.entries()) lag += Math.max(0, end - (next[partition] ?? 0));
    }
    return lag;
  }

  async function mend(faults: FetchedPartition[]): Promise<void> {
    const planBefore = new Map([...followed].map(([name, { plan }]) => [name, plan.id]));
    await replan();
    for (const { topic: name, partition, error } of faults) {
      const topic = followed.get(name);
      if (topic === undefined || topic.plan.id !== planBefore.get(name)) continue;
      if (error !== offsetOutOfRange) {
        failed('tail interrupted', new Error(`Kafka error ${error} at ${name}/${partition}`));
        continue;
      }
      const start = (await client.startOffsets(name))[partition] ?? 0;
      const end = (await client.endOffsets(name))[partition] ?? 0;
      const position = topic.next[partition] ?? 0;
      if (position >= start && position <= end) continue;
      const reason = position < start ? 'expired' : 'truncated';
      const next = position < start ? start : end;
      log.warn('tail moved', { topic: name, partition, from: position, to: next, reason });
      await inTurn(() => {
        topic.next[partition] = next;
        sink.moved(name, partition, next, reason);
      });
    }
    await pause(repeatMs);
  }

  async function begin(): Promise<void> {
    for (const topic of topics) {
      while (!isStopped()) {
        try {
          await open(topic);
          break;
        } catch (error) {
          failed('tail waits for Kafka', error);
          await pause(repeatMs);
        }
      }
    }
    noteLag();
    followAll();
  }

  const begun = begin();
  const timer = setInterval(() => {
    const isLeaderless = [...followed.values()].some(({ plan }) => plan.leaders.some((node) => node < 0));
    if (followed.size < topics.length || (!isLeaderless && Date.now() - plannedAt < planMs)) return;
    replan().catch((error) => failed('tail interrupted', error));
  }, 1_000);

  return {
    status: () => ({ fetchedAt, behindSince, lag: lagOf(), isCaughtUp }),
    async stop() {
      stopping.abort();
      clearInterval(timer);
      await client.close();
      await begun;
      await Promise.all(loops.values());
    },
  };
}
