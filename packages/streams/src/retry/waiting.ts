/** Which records of a retry topic are due; those that are not stay in Kafka, and nothing of them in memory. */
import type { FetchedBatch } from '../member.ts';
import { notBeforeOf } from './origin.ts';

export type Due = {
  /** The records before the first that must wait; undefined when that is the first of all. */
  batch: FetchedBatch | undefined;
  /** Milliseconds until the first that must wait is due; undefined when none must. */
  waitMs: number | undefined;
};

/**
 * Cuts a batch before its first record that is not due.
 *
 * Records of one topic wait equally long but for the jitter, so what is behind that one is hardly due before it.
 */
export function dueOf(batch: FetchedBatch, now: number): Due {
  for (const [at, record] of batch.records.entries()) {
    const notBefore = notBeforeOf(record);
    if (notBefore === undefined || notBefore <= now) continue;
    const due = { ...batch, records: batch.records.slice(0, at), next: BigInt(record.offset) };
    return { batch: at === 0 ? undefined : due, waitMs: notBefore - now };
  }
  return { batch, waitMs: undefined };
}

// A wait is looked at again now and then: the clock may have been set, and timers end at 2^31 ms.
const lookAgainMs = 60_000;
// Records that become due one after another are fetched together: each fetch brings all that wait behind them too.
const togetherMs = 25;

export type Waits = {
  wait(topic: string, partition: number, waitMs: number): void;
  /** Nothing waits any more: the partition is read anew, or is not ours. */
  forget(topic: string, partition: number): void;
  isWaiting(topic: string, partition: number): boolean;
  stop(): void;
};

/** @param onDue the partition may be read again */
export function createWaits(onDue: (topic: string, partition: number) => void): Waits {
  const timers = new Map<string, NodeJS.Timeout>();
  const nameOf = (topic: string, partition: number) => `${topic}/${partition}`;

  function forget(topic: string, partition: number): void {
    clearTimeout(timers.get(nameOf(topic, partition)));
    timers.delete(nameOf(topic, partition));
  }

  return {
    wait(topic, partition, waitMs) {
      forget(topic, partition);
      const timer = setTimeout(
        () => {
          timers.delete(nameOf(topic, partition));
          onDue(topic, partition);
        },
        Math.min(Math.max(waitMs, togetherMs), lookAgainMs),
      );
      timers.set(nameOf(topic, partition), timer);
    },
    forget,
    isWaiting: (topic, partition) => timers.has(nameOf(topic, partition)),
    stop() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
