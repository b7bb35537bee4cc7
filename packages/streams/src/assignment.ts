/**
 * The partitions that this instance has been given, from one join of the group to the next.
 *
 * A join ends what came before it: nothing of an earlier assignment is begun, taken or committed after it.
 */
import type { Offsets } from 'kafkajs';
import { type Continuity, createContinuity } from './continuity.ts';
import type { FetchedBatch } from './member.ts';
import type { PartitionRun } from './partition.ts';

export type Taken =
  | { kind: 'taken'; run: PartitionRun }
  | { kind: 'dropped' }
  | { kind: 'rewind'; at: bigint };

type Assigned = {
  run: PartitionRun;
  /** Once the group's committed offset is known. */
  continuity: Promise<Continuity | undefined>;
  committed: bigint | undefined;
};

export type AssignmentOptions = {
  makeRun(topic: string, partition: number): PartitionRun;
  /** The group's committed offsets, undefined where it has none; is asked until it answers. */
  committedOffsets(topic: string, partitions: readonly number[]): Promise<Map<number, bigint | undefined>>;
  /** A partition is not ours any more. */
  onGone(topic: string, partition: number): void;
};

export function createAssignment({ makeRun, committedOffsets, onGone }: AssignmentOptions) {
  let assigned = new Map<string, Assigned>();
  // Whose lease somebody else has raised, until the group says whose they are.
  const fenced = new Map<string, PartitionRun>();
  const nameOf = (topic: string, partition: number) => `${topic}/${partition}`;

  /** Replaces whatever there was; called synchronously at the join. */
  function join(partitionsOf: Record<string, readonly number[]>): void {
    const before = assigned;
    assigned = new Map();
    fenced.clear();
    for (const { run } of before.values()) {
      run.end();
      run.abort();
      // Closes where its records waited aside, also when the partition is another's now.
      void run.settled().catch(() => {});
    }
    for (const [topic, partitions] of Object.entries(partitionsOf)) {
      const committed = committedOffsets(topic, partitions);
      // Awaited by the first batch of each partition, which may never come.
      committed.catch(() => {});
      for (const partition of partitions) {
        assigned.set(nameOf(topic, partition), assign(topic, partition, committed, before));
      }
    }
    for (const [name, { run }] of before) {
      if (!assigned.has(name)) onGone(run.topic, run.partition);
    }
  }

  function assign(
    topic: string,
    partition: number,
    committed: Promise<Map<number, bigint | undefined>>,
    before: ReadonlyMap<string, Assigned>,
  ): Assigned {
    const run = makeRun(topic, partition);
    // A handler of the last assignment may still run: its key's next record waits for it.
    const settled = before.get(nameOf(topic, partition))?.run.settled() ?? Promise.resolve();
    beginAfter(settled, run);
    return {
      run,
      committed: undefined,
      continuity: committed.then((offsets) => createContinuity(offsets.get(partition))),
    };
  }

  return {
    join,
    /** Hands a batch to its partition, unless it belongs to an earlier join or leaves a hole. */
    async take(batch: FetchedBatch, taken: () => void): Promise<Taken> {
      const { topic, partition, from, next, records } = batch;
      const name = nameOf(topic, partition);
      const ours = assigned.get(name);
      const continuity = await ours?.continuity;
      // While we waited the group may have joined anew.
      if (ours === undefined || continuity === undefined || assigned.get(name) !== ours)
        return { kind: 'dropped' };
      const verdict = continuity.judge(from);
      if (verdict.kind === 'rewind') return verdict;
      const low = ours.run.committable();
      if (verdict.kind === 'restart' && low !== undefined && from > low) {
        // Begun anew here, it would commit past what is below and unfinished.
        startOver(name, { ...ours, continuity: Promise.resolve(createContinuity(low)) });
        return { kind: 'rewind', at: low };
      }
      const run = verdict.kind === 'restart' ? startOver(name, ours) : ours.run;
      run.add(records, from, next);
      continuity.reach(next);
      taken();
      return { kind: 'taken', run };
    },
    /** Steps over entries that hold no records. */
    async skip(topic: string, partition: number, from: bigint, next: bigint): Promise<void> {
      const name = nameOf(topic, partition);
      const ours = assigned.get(name);
      const continuity = await ours?.continuity;
      if (ours === undefined || continuity === undefined || assigned.get(name) !== ours) return;
      if (continuity.judge(from).kind !== 'take') return;
      ours.run.add([], from, next);
      continuity.reach(next);
    },
    /** What may be committed and is not yet. */
    uncommitted(): Offsets {
      const topics = new Map<string, { partition: number; offset: string }[]>();
      for (const { run, committed } of assigned.values()) {
        const offset = run.committable();
        if (offset === undefined || offset === committed) continue;
        const entries = topics.get(run.topic) ?? [];
        topics.set(run.topic, entries);
        entries.push({ partition: run.partition, offset: String(offset) });
      }
      return { topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })) };
    },
    /** Remembers what Kafka took. */
    committed({ topics }: Offsets): void {
      for (const { topic, partitions } of topics) {
        for (const { partition, offset } of partitions) {
          const ours = assigned.get(nameOf(topic, partition));
          if (ours !== undefined) ours.committed = BigInt(offset);
        }
      }
    },
    runs: (): PartitionRun[] => [...assigned.values()].map(({ run }) => run),
    /** Somebody else has raised the partition's lease; the run that says so has ended. */
    fenced(topic: string, partition: number): void {
      const name = nameOf(topic, partition);
      const ours = assigned.get(name);
      if (ours !== undefined) fenced.set(name, ours.run);
    },
    /**
     * The group has just said that this assignment holds. What is fenced all the same was fenced by one that woke
     * up late and is owner no more: we acquire it again, from the committed offset.
     */
    confirmed(): void {
      for (const [name, old] of fenced) {
        fenced.delete(name);
        const { topic, partition } = old;
        if (assigned.get(name)?.run !== old) continue;
        const committed = committedOffsets(topic, [partition]);
        committed.catch(() => {});
        assigned.set(name, assign(topic, partition, committed, assigned));
      }
    },
  };

  function beginAfter(settled: Promise<void>, run: PartitionRun): void {
    // What could not be closed must not keep the partition closed.
    void settled.catch(() => {}).then(() => run.begin());
  }

  function startOver(name: string, ours: Assigned): PartitionRun {
    const { run: old } = ours;
    old.end();
    old.abort();
    const run = makeRun(old.topic, old.partition);
    beginAfter(old.settled(), run);
    assigned.set(name, { ...ours, run, committed: undefined });
    return run;
  }
}
