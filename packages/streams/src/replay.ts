/** Reads again what lies before the tail: some partitions of one topic from given offsets, one answer at a time. */
import type { TailClient } from './tail-client.ts';
import type { FetchedPartition } from './tail-records.ts';

export type ReplayReader = {
  /**
   * Whatever Kafka has from these offsets on (by partition): one fetch per broker. A partition whose records are
   * gone has error 1 (OFFSET_OUT_OF_RANGE) and `logStart`, the first offset that is left.
   * Throws when Kafka is away or the topic is another one than `epoch` names.
   */
  read(topic: string, epoch: number, offsets: ReadonlyMap<number, number>): Promise<FetchedPartition[]>;
  /** The ends of all partitions now, decided or not. */
  endOffsets(topic: string): Promise<number[]>;
  stop(): Promise<void>;
};

const maxWaitMs = 100;
const offsetOutOfRange = 1;

/** The client must not be the tail's own: fetch sessions would mix. */
export function createReplayReader({ client }: { client: TailClient }): ReplayReader {
  const plans = new Map<string, Awaited<ReturnType<TailClient['plan']>>>();

  return {
    async read(topic, epoch, offsets) {
      const plan = plans.get(topic) ?? (await client.plan(topic));
      plans.set(topic, plan);
      try {
        if (plan.epoch !== epoch) throw new Error(`${topic} is no longer the topic that the cursor names`);
        const byNode = Map.groupBy(offsets, ([partition]) => plan.leaders[partition] ?? -1);
        const fetched: FetchedPartition[] = [];
        for (const [node, wanted] of byNode) {
          fetched.push(...(await client.fetch(node, [{ plan, offsets: new Map(wanted) }], maxWaitMs)));
        }
        if (fetched.some((it) => it.error !== 0 && it.error !== offsetOutOfRange)) {
          throw new Error(
            `Kafka error ${fetched.find((it) => it.error !== 0)?.error} while reading ${topic} again`,
          );
        }
        if (fetched.some((it) => it.error !== 0)) {
          const starts = await client.startOffsets(topic);
          return fetched.map((it) => ({ ...it, logStart: starts[it.partition] ?? it.logStart }));
        }
        return fetched;
      } catch (error) {
        // The next read looks again for leaders and for the topic itself.
        plans.delete(topic);
        throw error;
      }
    },
    endOffsets: (topic) => client.endOffsets(topic),
    stop: () => client.close(),
  };
}
