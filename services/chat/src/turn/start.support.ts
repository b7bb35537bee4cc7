/** For tests: topics and a group of the test's own, and instances that answer from them, on the real Kafka. */

import { randomUUID } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { deadLetterTopicOf } from '@ragline/schemas/topics';
import type { ChatEvent, ChatRequestEvent } from '@ragline/schemas/types.generated';
import { createKafka } from '@ragline/streams/kafka-client';
import { makeTopics } from '@ragline/streams/make-topics';
import { startProducer } from '@ragline/streams/producer';
import { startTail } from '@ragline/streams/tail';
import { createTailClient } from '@ragline/streams/tail-client';
import { stack } from '../../../../tests/support/stack.ts';
import type { Model } from '../model/model.ts';
import type { Retriever } from '../retrieval/retrieve.ts';
import type { ExecuteApproval } from '../tools/approvals.ts';
import { type Failpoint, noFailpoint } from './failpoint.ts';
import { aRetriever, limits, noTools, quiet, testPrompt } from './scene.support.ts';
import { startTurns } from './start.ts';

export type TurnNames = { groupId: string; requests: string; events: string };

/** Makes the topics; `remove` takes them away. */
export async function openTopics() {
  const { kafka: access, registryUrl } = stack();
  const kafka = createKafka({ ...access, clientId: 'test-chat', log: quiet });
  const id = randomUUID().slice(0, 8);
  const names = { groupId: `test-chat-${id}`, requests: `test-requests-${id}`, events: `test-events-${id}` };
  const all = [names.requests, names.events, deadLetterTopicOf(names.groupId)];
  const admin = kafka.admin();
  await admin.connect();
  const configEntries = [{ name: 'compression.type', value: 'gzip' }];
  await makeTopics(
    admin,
    all.map((topic) => ({ topic, numPartitions: 2, configEntries })),
  );
  const producer = await startProducer({ kafka, log: quiet });
  const codec = createCodec({ registryUrl });
  const encode = await codec.encoder('chat_request_v1');
  const told: ChatEvent[] = [];
  const letters: Buffer[] = [];
  const tail = startTail({
    client: createTailClient({ kafka: access, clientId: `test-reader-${id}` }),
    topics: [names.events, deadLetterTopicOf(names.groupId)].map((name) => ({ name, from: 'beginning' })),
    sink: {
      opened() {},
      moved() {},
      async batch(partitions) {
        for (const { topic, records } of partitions) {
          for (const { value } of records) {
            if (value === null) continue;
            if (topic === names.events) told.push((await codec.decode(value)).value as ChatEvent);
            else letters.push(value);
          }
        }
      },
    },
    log: quiet,
  });

  return {
    names,
    /** All events so far, in the order in which a partition has them. */
    told,
    /** Values of the group's dead letters. */
    letters,
    /** Sends a request as the outbox would. */
    async request(event: ChatRequestEvent): Promise<void> {
      const { event_id: id, event_type, tenant_id, user_id, conversation_id: key } = event;
      await producer.send(names.requests, [
        { key, value: encode(event), headers: { id, event_type, tenant_id, user_id } },
      ]);
    },
    async remove(): Promise<void> {
      await tail.stop();
      await producer.stop();
      await admin.deleteTopics({ topics: all });
      await admin.disconnect();
    },
  };
}

/** One instance of the answering side. */
export async function startInstance(options: {
  names: TurnNames;
  pool: Pool;
  instance: string;
  model: Model;
  execute?: ExecuteApproval;
  retriever?: Retriever;
  failpoint?: Failpoint;
  deadlineMs?: number;
  log?: Logger;
}) {
  const { names, pool, instance, model, log = quiet } = options;
  const { kafka: access, registryUrl } = stack();
  const kafka = createKafka({ ...access, clientId: instance, log: quiet });
  const metrics = createMetrics({ service: 'test' });
  const producer = await startProducer({ kafka, log: quiet });
  const turns = await startTurns({
    names,
    pool,
    kafka,
    kafkaAccess: access,
    codec: createCodec({ registryUrl }),
    producer,
    events: producer,
    model,
    retriever: options.retriever ?? aRetriever(),
    tools: noTools,
    execute: options.execute ?? (async () => ({ kind: 'rejected' })),
    prompt: testPrompt,
    summaryPrompt: testPrompt,
    limits,
    failpoint: options.failpoint ?? noFailpoint,
    instance,
    deadlineMs: options.deadlineMs ?? 30_000,
    concurrency: 8,
    stopWithinMs: 1_000,
    floodGuard: false,
    metrics,
    health: createHealth(),
    log,
  });
  return {
    ...turns,
    async stop(): Promise<void> {
      await turns.stop();
      await producer.stop();
    },
  };
}
