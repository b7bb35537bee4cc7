/**
 * The replayer: brings subscriptions whose place is below the ring's floor up to it, all of them in one sweep over
 * Kafka. One per topic.
 */
import type { FetchedPartition } from '@ragline/streams/tail-records';
import type { Catchup, Clock } from './catchup.ts';
import { entryFrom, type LiveTopic } from './entry.ts';
import type { LiveStats } from './live-stats.ts';
import type { Subscription } from './subscription.ts';

/** A new object for each time that a subscription joins: who joins in the middle of an answer has not seen its start. */
type Job = { subscription: Subscription; frames: Buffer[]; bytes: number };

export type Replayer = ReturnType<typeof createReplayer>;

const turnMs = 4;
const recordsMax = 500_000;
const joinsPerSecond = 1_000;
const retryMs = 100;
const giveUpMs = 10_000;
const frameBytesAtOnce = 64 * 1024;
const offsetOutOfRange = 1;

export function createReplayer(parts: {
  topic: LiveTopic;
  read: (topic: LiveTopic, offsets: ReadonlyMap<number, number>) => Promise<FetchedPartition[]>;
  catchup: Pick<Catchup, 'queue' | 'gap' | 'frameOf' | 'isFull' | 'waitForDrain'>;
  stats: LiveStats;
  clock: Clock;
}) {
  const { topic, read, catchup, stats, clock } = parts;
  const jobs = new Map<Subscription, Job>();
  const joins = new Map<string, number>();
  let joinsSince = 0;
  let isSweeping = false;
  let failingSince: number | undefined;

  const turn = () => new Promise<void>((resolve) => clock.soon(resolve));
  const pause = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

  function vectorOf({ subscription }: Job): number[] {
    return subscription.behind?.[topic.index] ?? [];
  }

  function isAlive(job: Job): boolean {
    return (
      jobs.get(job.subscription) === job &&
      job.subscription.waits === 'replay' &&
      job.subscription.outlet.isOpen
    );
  }

  function hand(job: Job): void {
    if (job.frames.length === 0) return;
    const { outlet } = job.subscription;
    stats.writes += 1;
    outlet.socket.write(Buffer.concat(job.frames, job.bytes));
    job.frames = [];
    job.bytes = 0;
    if (!catchup.isFull(outlet)) return;
    jobs.delete(job.subscription);
    catchup.waitForDrain(job.subscription);
  }

  /** Takes out who has reached the floor, or is gone. */
  function settle(): void {
    for (const [subscription, job] of jobs) {
      if (!isAlive(job)) jobs.delete(subscription);
      else if (topic.floor.every((floor, partition) => (vectorOf(job)[partition] ?? 0) >= floor)) {
        jobs.delete(subscription);
        catchup.queue(subscription);
      }
    }
  }

  function wanted(): Map<number, number> {
    const offsets = new Map<number, number>();
    for (const job of jobs.values()) {
      for (const [partition, offset] of vectorOf(job).entries()) {
        if (offset >= (topic.floor[partition] ?? 0)) continue;
        offsets.set(partition, Math.min(offset, offsets.get(partition) ?? offset));
      }
    }
    return offsets;
  }

  async function sweep(): Promise<void> {
    for (;;) {
      settle();
      if (jobs.size === 0) return;
      const present = [...jobs.values()];
      const fetched = await read(topic, wanted()).catch(() => undefined);
      if (fetched !== undefined && (await offer(fetched, present))) {
        failingSince = undefined;
        continue;
      }
      failingSince ??= clock.now();
      if (clock.now() - failingSince > giveUpMs) leaveAll();
      else await pause(retryMs);
    }
  }

  function leaveAll(): void {
    failingSince = undefined;
    for (const job of [...jobs.values()]) {
      jobs.delete(job.subscription);
      if (job.subscription.waits === 'replay') catchup.gap(job.subscription, 'unavailable');
    }
  }

  /** False when the answer helps nobody: a position that Kafka refuses, though nothing before it was dropped. */
  async function offer(fetched: FetchedPartition[], present: Job[]): Promise<boolean> {
    const byTenant = Map.groupBy(present, (job) => job.subscription.tenant);
    const dirty = new Set<Job>();
    const handAll = () => {
      for (const job of dirty) if (isAlive(job)) hand(job);
      dirty.clear();
    };
    let until = clock.now() + turnMs;
    let isUseful = true;
    for (const part of fetched) {
      if (part.error === offsetOutOfRange) {
        if (!expire(part, present)) isUseful = false;
        continue;
      }
      for (const record of part.records) {
        if (clock.now() >= until) {
          handAll();
          await turn();
          until = clock.now() + turnMs;
        }
        stats.replayed += 1;
        const at = { topic: topic.index, partition: part.partition, receivedAt: record.timestamp };
        const entry = entryFrom(record, at);
        if (entry === undefined) continue;
        for (const job of byTenant.get(entry.tenant) ?? []) {
          const behind = job.subscription.behind;
          if (!isAlive(job) || behind === null || record.offset < (vectorOf(job)[part.partition] ?? 0))
            continue;
          const frame = catchup.frameOf(job.subscription, entry, behind);
          if (frame === undefined) continue;
          job.frames.push(frame);
          job.bytes += frame.length;
          if (job.bytes > frameBytesAtOnce) hand(job);
          else dirty.add(job);
        }
      }
      stepTo(part, present);
    }
    handAll();
    return isUseful;
  }

  /** Records are gone that a subscription is owed. */
  function expire(part: FetchedPartition, present: Job[]): boolean {
    let isAnyExpired = false;
    for (const job of present) {
      if (!isAlive(job) || (vectorOf(job)[part.partition] ?? 0) >= part.logStart) continue;
      hand(job);
      if (!isAlive(job)) continue;
      jobs.delete(job.subscription);
      catchup.gap(job.subscription, 'expired');
      isAnyExpired = true;
    }
    return isAnyExpired;
  }

  /** Who was there from the answer's start has seen all of it, entitled or not. Beyond the floor the ring decides. */
  function stepTo(part: FetchedPartition, present: Job[]): void {
    const end = Math.min(part.next ?? 0, topic.floor[part.partition] ?? 0);
    for (const job of present) {
      const vector = vectorOf(job);
      if (isAlive(job) && (vector[part.partition] ?? 0) < end) vector[part.partition] = end;
    }
  }

  function mayJoin(tenant: string): boolean {
    if (clock.now() - joinsSince >= 1_000) {
      joinsSince = clock.now();
      joins.clear();
    }
    const count = (joins.get(tenant) ?? 0) + 1;
    joins.set(tenant, count);
    return count <= joinsPerSecond;
  }

  return {
    /** Takes a subscription that waits for `replay`; gives it back by `queue`, `waitForDrain` or `gap`. */
    add(subscription: Subscription): void {
      const vector = subscription.behind?.[topic.index] ?? [];
      const owed = topic.floor.reduce(
        (sum, floor, partition) => sum + Math.max(0, floor - (vector[partition] ?? 0)),
        0,
      );
      if (owed > recordsMax) {
        catchup.gap(subscription, 'too_old');
        return;
      }
      if (!mayJoin(subscription.tenant)) {
        subscription.waits = 'later';
        clock.after(retryMs, () => {
          if (subscription.waits === 'later') catchup.queue(subscription);
        });
        return;
      }
      jobs.set(subscription, { subscription, frames: [], bytes: 0 });
      if (isSweeping) return;
      isSweeping = true;
      void sweep().finally(() => {
        isSweeping = false;
      });
    },
    waiting: () => jobs.size,
  };
}
