/**
 * Reads again what readers missed: each conversation's partition, from the reader's cursor to where it joined the tail.
 * One sweep over Kafka for all who wait, since a client has one fetch session a broker, and all readers of an instance
 * that went away come to the others at the same moment.
 */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type { Logger } from '@ragline/runtime/logger';
import type { ReplayReader } from '@ragline/streams/replay';
import type { FetchedPartition, TailRecord } from '@ragline/streams/tail-records';
import type { ShownEvent } from './event.ts';
import type { Address, Subscription } from './subscription.ts';

export type Missed = {
  partition: number;
  epoch: number;
  /** The first offset that was missed. */
  next: number;
  /** The first offset that comes live. */
  until: number;
};

type Job = Missed & {
  subscription: Subscription;
  key: string;
  /** The round in which it was last brought forward: who has waited longest is asked for. */
  servedIn: number;
  failingSince: number | undefined;
};

export type Replayer = ReturnType<typeof createReplayer>;

const offsetOutOfRange = 1;
const noRoomMs = 20;
const turnMs = 4;

const userOf = ({ tenant_id, user_id }: Pick<Address, 'tenant_id' | 'user_id'>) => `${tenant_id}/${user_id}`;

export function createReplayer(parts: {
  topic: string;
  reader: Pick<ReplayReader, 'read'>;
  decoded(record: TailRecord): Promise<ShownEvent | undefined>;
  log: Logger;
  retryMs?: number;
  /** How long Kafka may give nothing to a reader before it is told of a gap. */
  giveUpMs?: number;
}) {
  const { topic, reader, decoded, log, retryMs = 100, giveUpMs = 10_000 } = parts;
  const jobs = new Map<Subscription, Job>();
  const byUser = new Map<string, number>();
  let round = 0;
  let isSweeping = false;
  let isStopping = false;

  function remove({ subscription }: Job): boolean {
    if (!jobs.delete(subscription)) return false;
    const user = userOf(subscription.address);
    const left = (byUser.get(user) ?? 1) - 1;
    if (left === 0) byUser.delete(user);
    else byUser.set(user, left);
    return true;
  }

  function done(job: Job): void {
    if (remove(job)) job.subscription.caughtUp();
  }

  function gap(job: Job, reason: 'expired' | 'unavailable'): void {
    job.subscription.gap(reason, { epoch: job.epoch, next: job.until, last: undefined });
    done(job);
  }

  function settle(): void {
    for (const job of jobs.values()) {
      if (job.subscription.isClosed()) remove(job);
      else if (job.next >= job.until) done(job);
    }
  }

  /** For each partition the offset of who waits longest, of those the first: all who are near it come along. */
  function wanted(present: readonly Job[]): Map<number, Job> {
    const chosen = new Map<number, Job>();
    for (const job of present) {
      const other = chosen.get(job.partition);
      const isFirst =
        other === undefined ||
        job.servedIn < other.servedIn ||
        (job.servedIn === other.servedIn && job.next < other.next);
      if (isFirst) chosen.set(job.partition, job);
    }
    return chosen;
  }

  async function sweep(): Promise<void> {
    for (;;) {
      settle();
      const [first] = jobs.values();
      if (first === undefined || isStopping) {
        isSweeping = false;
        return;
      }
      // Whoever has no room reads slowly; who writes to it lets it go when it does not read at all.
      const present = [...jobs.values()].filter(
        (job) => job.epoch === first.epoch && job.subscription.hasRoom(),
      );
      if (present.length === 0) {
        // Others may wait behind it.
        jobs.delete(first.subscription);
        jobs.set(first.subscription, first);
        await delay(noRoomMs);
        continue;
      }
      round += 1;
      if (!(await serve(present, first.epoch))) await delay(retryMs);
    }
  }

  /** Whether anybody was brought forward. */
  async function serve(present: readonly Job[], epoch: number): Promise<boolean> {
    const chosen = wanted(present);
    const offsets = new Map([...chosen].map(([partition, { next }]) => [partition, next]));
    const before = new Map(present.map((job) => [job, job.next]));
    let asked: Iterable<Job> = chosen.values();
    try {
      for (const part of await reader.read(topic, epoch, offsets)) {
        const from = offsets.get(part.partition);
        if (part.topic === topic && from !== undefined) await take(part, from, present);
      }
    } catch (error) {
      const isNew = present.every(({ failingSince }) => failingSince === undefined);
      if (isNew) log.warn('what readers missed cannot be read', { error, readers: present.length });
      asked = present;
    }
    const now = Date.now();
    let isAnyServed = false;
    for (const [job, next] of before) {
      if (job.next === next && jobs.has(job.subscription)) continue;
      isAnyServed = true;
      job.failingSince = undefined;
      job.servedIn = round;
    }
    for (const job of asked) {
      if (job.next !== before.get(job)) continue;
      job.failingSince ??= now;
      // Others of its partition are not to wait for what does not come.
      job.servedIn = round;
      if (now - job.failingSince > giveUpMs && jobs.has(job.subscription)) gap(job, 'unavailable');
    }
    return isAnyServed;
  }

  async function take(part: FetchedPartition, from: number, present: readonly Job[]): Promise<void> {
    const near = present.filter((job) => job.partition === part.partition);
    if (part.error === offsetOutOfRange) {
      // Nothing of what is left would make sense without what is gone: REST has it.
      for (const job of near) if (job.next < part.logStart) gap(job, 'expired');
      return;
    }
    const byKey = Map.groupBy(
      near.filter(({ next }) => next >= from),
      ({ key }) => key,
    );
    const full = new Set<Job>();
    let until = performance.now() + turnMs;
    for (const record of part.records) {
      if (performance.now() >= until) {
        await turn();
        until = performance.now() + turnMs;
      }
      const readers = byKey.get(record.key?.toString() ?? '');
      if (readers?.some((job) => isFor(job, record))) await tell(record, readers, full);
    }
    const { next } = part;
    if (next === undefined) return;
    for (const job of [...byKey.values()].flat()) {
      if (!full.has(job) && job.next < next) job.next = next;
    }
  }

  async function tell(record: TailRecord, readers: readonly Job[], full: Set<Job>): Promise<void> {
    const event = await decoded(record);
    for (const job of readers) {
      if (!isFor(job, record) || full.has(job)) continue;
      if (!job.subscription.hasRoom()) {
        // It goes on with this record.
        full.add(job);
        continue;
      }
      job.next = record.offset + 1;
      if (event !== undefined)
        job.subscription.again(event, { epoch: job.epoch, next: job.next }, record.value?.length ?? 0);
    }
  }

  const isFor = (job: Job, { offset }: TailRecord) =>
    jobs.get(job.subscription) === job && offset >= job.next && offset < job.until;

  return {
    /** The subscription holds back what comes live; it is live when it has everything, or was told of a gap. */
    add(subscription: Subscription, missed: Missed): void {
      const key = subscription.address.conversation_id;
      jobs.set(subscription, { ...missed, subscription, key, servedIn: 0, failingSince: undefined });
      const user = userOf(subscription.address);
      byUser.set(user, (byUser.get(user) ?? 0) + 1);
      if (isSweeping) return;
      isSweeping = true;
      sweep().catch((error: unknown) => {
        isSweeping = false;
        log.error('readers could not be brought up to date', { error });
        for (const job of [...jobs.values()]) gap(job, 'unavailable');
      });
    },
    /** For a subscription that was told of a gap by another: it goes on live. */
    leave(subscription: Subscription): void {
      const job = jobs.get(subscription);
      if (job !== undefined) done(job);
    },
    waiting: (): number => jobs.size,
    /** Those of one user; one that was closed meanwhile counts until the sweep sees it, some milliseconds. */
    waitingOf: (user: Pick<Address, 'tenant_id' | 'user_id'>): number => byUser.get(userOf(user)) ?? 0,
    stop(): void {
      isStopping = true;
      jobs.clear();
      byUser.clear();
    },
  };
}
