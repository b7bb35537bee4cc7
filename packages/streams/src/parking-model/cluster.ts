/** Kafka of the protocol's size: a topic's log, a group's committed offsets and generations, `<group>.dlq`. */
import type { ConsumedRecord } from '../record.ts';
import type { Random } from './random.ts';
import type { Truth } from './truth.ts';

export const place = { group_id: 'model', topic: 'orders' };

export type Cluster = ReturnType<typeof createCluster>;

export type ClusterOptions = {
  log: readonly (readonly ConsumedRecord[])[];
  random: Random;
  truth: Truth;
  count(what: string): void;
  say(...words: unknown[]): void;
};

/** A process as the group's coordinator sees it. */
export type Member = { name: string };

export function createCluster({ log, random, truth, count, say }: ClusterOptions) {
  const committed: number[] = log.map(() => 0);
  const visible: number[] = log.map(() => 0);
  let generation = 0;
  let owners: (Member | undefined)[] = [];

  return {
    partitions: log.length,
    generation: () => generation,
    committed: (p: number): number => committed[p] ?? 0,
    /** Everything is produced and committed. */
    isDone: (): boolean => committed.every((upTo, p) => upTo === log[p]?.length),
    isProduced: (): boolean => visible.every((upTo, p) => upTo === log[p]?.length),
    produce(): void {
      const p = visible.findIndex((upTo, at) => upTo < (log[at]?.length ?? 0));
      if (p >= 0) visible[p] = (visible[p] ?? 0) + 1;
    },
    /** Members hear of it when they ask. */
    rebalance(members: readonly Member[]): void {
      if (members.length === 0) return;
      generation += 1;
      owners = log.map(() => random.pick(members));
      count('rebalances');
      say('rebalance', generation, owners.map((member) => member?.name).join());
    },
    partitionsOf: (member: Member): number[] => owners.flatMap((owner, p) => (owner === member ? p : [])),
    fetch: (p: number, from: number, limit: number): readonly ConsumedRecord[] =>
      (log[p] ?? []).slice(from, Math.min(from + limit, visible[p] ?? 0)),
    /** Refused to whoever missed a rebalance. */
    commit(p: number, upTo: number, of: number): boolean {
      if (of !== generation) {
        count('commits refused');
        return false;
      }
      truth.committed(p, upTo);
      committed[p] = upTo;
      count('commits');
      return true;
    },
  };
}
