/**
 * The place of "now" in a topic as a cursor, for answers that a client joins with a subscription
 * (header `Stream-Position`).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@ragline/runtime/logger';
import type { CursorSealer } from './cursor.ts';
import { createTailClient, type KafkaAccess, type TopicPlan } from './tail-client.ts';

export type PositionSource = {
  /**
   * The cursor of the topic's end as last known: call it before reading Postgres. What is read then is at least as
   * new, so subscribing from the cursor misses nothing. Never waits; undefined until Kafka has answered once.
   */
  header(): string | undefined;
  stop(): Promise<void>;
};

const planMs = 10_000;

/** Asks Kafka in the background; while it is away the last answer is kept, which is only earlier, so still right. */
export async function startPosition(options: {
  kafka: KafkaAccess;
  clientId: string;
  topic: string;
  sealer: CursorSealer;
  log: Logger;
  refreshMs?: number;
}): Promise<PositionSource> {
  const { kafka, clientId, topic, sealer, log, refreshMs = 100 } = options;
  const client = createTailClient({ kafka, clientId: `${clientId}-position` });
  const stopping = new AbortController();
  let cursor: string | undefined;
  let plan: { is: TopicPlan; at: number } | undefined;
  let isFailing = false;

  const refresh = async () => {
    if (plan === undefined || Date.now() - plan.at > planMs) {
      plan = { is: await client.plan(topic), at: Date.now() };
    }
    const next = await client.stableEndOffsets(topic);
    // A topic made anew with fewer partitions: the plan is about another one.
    if (next.length !== plan.is.leaders.length) throw new Error(`${topic} has changed`);
    cursor = sealer.seal([{ epoch: plan.is.epoch, next }]);
  };

  const loop = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await refresh();
        isFailing = false;
      } catch (error) {
        plan = undefined;
        if (!isFailing && !stopping.signal.aborted)
          log.warn('stream position not refreshed', { topic, error });
        isFailing = true;
      }
      await delay(refreshMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();

  return {
    header: () => cursor,
    async stop() {
      stopping.abort();
      await client.close();
      await loop;
    },
  };
}
