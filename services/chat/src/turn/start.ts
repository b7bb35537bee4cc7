/** The answering side, put together: the group that works, the tail that hears stops, and the nets below both. */
import type { Pool } from '@ragline/postgres/pool';
import type { Health } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { startConsumer } from '@ragline/streams/consumer';
import type { Kafka } from '@ragline/streams/kafka-client';
import type { Producer } from '@ragline/streams/producer';
import type { RetryOptions } from '@ragline/streams/run-parts';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import type { AnswerParts } from './answer.ts';
import type { ApprovalParts } from './approval.ts';
import { groupId } from './consumer.ts';
import { createPublisher } from './events.ts';
import { turnMetrics } from './metrics.ts';
import { createRunning, startWatch } from './running.ts';
import { startStops } from './stops.ts';
import { turnStore } from './store.ts';
import { startSummaries } from './summaries.ts';
import { endDeadTurn, startSweeper } from './sweeper.ts';
import { createWorker, type WorkerParts } from './worker.ts';

export type TurnOptions = Omit<AnswerParts, 'failpoint'> &
  ApprovalParts &
  Pick<WorkerParts, 'spend' | 'captureContent'> &
  Pick<RetryOptions, 'retry' | 'floodGuard' | 'failpoints'> & {
    pool: Pool;
    kafka: Kafka;
    kafkaAccess: KafkaAccess;
    codec: Codec;
    /** Of the events, and of nothing that may have to wait. */
    events: Producer;
    /** Of what the group puts aside. */
    producer: Producer;
    summaryPrompt: AnswerParts['prompt'];
    instance: string;
    deadlineMs: number;
    concurrency: number;
    stopWithinMs: number;
    metrics: Metrics;
    health: Health;
    log: Logger;
    /** Names of a test's own. */
    names?: { groupId: string; requests: string; events: string };
  };

// What a turn needs to be told of and put away, once its own deadline is over.
const afterDeadlineMs = 30_000;
// Longer than the stack may be away and come back; shorter than anybody waits.
const requestedMs = 300_000;

const usualNames = { groupId, requests: topics.chatRequests.name, events: topics.chatEvents.name };

/** Joins the group; resolves after the first join. What it gives stops in reverse. */
export async function startTurns(options: TurnOptions) {
  const { pool, kafka, codec, events, producer, deadlineMs, log, instance, names = usualNames } = options;
  const store = turnStore(pool);
  const publisher = await createPublisher({ producer: events, codec, topic: names.events });
  const running = createRunning({ deadlineMs });
  const metrics = turnMetrics(options.metrics, running.count);
  const summaries = startSummaries({ ...options, prompt: options.summaryPrompt, log });
  const worker = createWorker({
    ...options,
    store,
    publisher,
    running,
    metrics,
    name: instance,
    afterwards: summaries.consider,
  });
  const client = createTailClient({ kafka: options.kafkaAccess, clientId: `${instance}-stops` });
  const stops = startStops({ client, codec, running, log, topic: names.requests });
  const watch = startWatch({ running, store, log });
  const limits = { requestedMs, runningMs: deadlineMs + 2 * afterDeadlineMs };
  const sweeping = { store, publisher, limits, log, spend: options.spend };
  const sweeper = startSweeper(sweeping);
  const ending = new Set<Promise<void>>();

  async function stopNets(): Promise<void> {
    await Promise.all(ending);
    await summaries.stop();
    await sweeper.stop();
    await watch.stop();
    await stops.stop();
  }

  try {
    const consumer = await startConsumer({
      kafka,
      groupId: names.groupId,
      topics: [{ name: names.requests, schema: 'chat_request_v1' }],
      order: 'by-key',
      codec,
      handle: worker.handle,
      pool,
      // A conversation whose turn failed by our fault stays usable.
      deadHead: 'skip',
      handlerDeadlineMs: deadlineMs + afterDeadlineMs,
      ...(options.retry === undefined ? {} : { retry: options.retry }),
      ...(options.floodGuard === undefined ? {} : { floodGuard: options.floodGuard }),
      ...(options.failpoints === undefined ? {} : { failpoints: options.failpoints }),
      producer,
      log,
      metrics: options.metrics,
      health: options.health,
      concurrency: options.concurrency,
      // An answer takes seconds: the next question is not held up by it.
      holdFetchMs: 0,
      stopWithinMs: options.stopWithinMs,
      onFinished({ event, outcome }) {
        if (outcome === 'parked' && event !== undefined) {
          log.warn('turn waits for another try', {
            conversation_id: event.key,
            event_type: event.event_type,
          });
        }
        if (outcome !== 'dead-lettered') return;
        const end = endDeadTurn(sweeping, event).finally(() => ending.delete(end));
        ending.add(end);
      },
    });
    return {
      running,
      publisher,
      async stop() {
        await consumer.stop();
        await stopNets();
      },
    };
  } catch (error) {
    await stopNets();
    throw error;
  }
}
