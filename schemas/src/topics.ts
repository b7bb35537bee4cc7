/**
 * The map of the system: every topic, with its key, its size, how long it is kept and who writes it.
 *
 * `ragline topics apply` makes Kafka like this, `ragline schemas register` the registry.
 */
import type { SchemaName } from './types.generated.ts';

export type Compatibility = 'FULL_TRANSITIVE' | 'BACKWARD_TRANSITIVE';

/** One topic. `key` says what its records are keyed by and so ordered by; `schema` is null where values are not ours to read. */
export type Topic = {
  name: string;
  key: string;
  partitions: number;
  retentionMs: number;
  /** The broker re-encodes foreign batches to this: kafkajs reads no LZ4, Snappy or zstd and would crash. */
  compression: 'gzip';
  /** Above the largest event (900 KiB) with its headers, uncompressed. */
  maxMessageBytes: number;
  schema: SchemaName | null;
  compatibility: Compatibility | null;
  /** The service whose outbox (or, for a dead letter topic, whose group) writes it; `others`: a group that is not of ours. */
  owner: 'identity' | 'orders' | 'notifications' | 'dead-letters' | 'chat' | 'connect' | 'others';
  /** True: its owner writes it itself, and not by an outbox; what is on it is not kept anywhere else. */
  direct?: true;
  /** True: transactions that write for one key do not wait for each other, so between two that were open at once there is no order. */
  concurrent?: true;
};

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const eventBytesMax = 2 * 1024 * 1024;

/** A dead letter carries the original bytes and up to 64 KiB of added headers. */
const letterBytesMax = eventBytesMax + 128 * 1024;

export const topics = {
  orders: {
    name: 'orders.v1',
    key: 'order id',
    partitions: 12,
    retentionMs: 30 * dayMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'order_v1',
    compatibility: 'FULL_TRANSITIVE',
    owner: 'orders',
  },
  catalog: {
    name: 'catalog.v1',
    key: 'product or document id',
    partitions: 6,
    retentionMs: 30 * dayMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'catalog_v1',
    compatibility: 'FULL_TRANSITIVE',
    owner: 'orders',
  },
  notifications: {
    name: 'notifications.v1',
    key: 'user id (audience staff: tenant id)',
    concurrent: true,
    partitions: 6,
    retentionMs: 7 * dayMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'notification_v1',
    compatibility: 'BACKWARD_TRANSITIVE',
    owner: 'notifications',
  },
  revocations: {
    name: 'identity.revocations.v1',
    key: 'user id',
    // One: every instance of every service reads it from its beginning, and there is little of it.
    partitions: 1,
    // No access token lives longer, so nothing older can still matter.
    retentionMs: hourMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'revocation_v1',
    compatibility: 'BACKWARD_TRANSITIVE',
    owner: 'identity',
  },
  deadLetters: {
    name: 'dead_letters.v1',
    key: 'dead letter id (alerts: alert id)',
    partitions: 6,
    retentionMs: 30 * dayMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'dead_letter_v1',
    compatibility: 'BACKWARD_TRANSITIVE',
    owner: 'dead-letters',
  },
  chatRequests: {
    name: 'chat.requests.v1',
    key: 'conversation id',
    partitions: 12,
    retentionMs: 7 * dayMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'chat_request_v1',
    compatibility: 'BACKWARD_TRANSITIVE',
    owner: 'chat',
  },
  chatEvents: {
    name: 'chat.events.v1',
    key: 'conversation id',
    partitions: 12,
    // For readers that come back; what was said is kept in the database.
    retentionMs: dayMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'chat_event_v1',
    compatibility: 'BACKWARD_TRANSITIVE',
    owner: 'chat',
    direct: true,
  },
  llmCalls: {
    name: 'llm.calls.v1',
    key: 'tenant id',
    partitions: 6,
    retentionMs: 30 * dayMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: 'llm_call_v1',
    compatibility: 'BACKWARD_TRANSITIVE',
    owner: 'chat',
    direct: true,
  },
  /** Debezium's sign of life, which also moves its place on when others write and no event does. */
  connectorHeartbeat: {
    name: '_connect.heartbeat.ragline',
    key: 'connector',
    partitions: 1,
    retentionMs: hourMs,
    compression: 'gzip',
    maxMessageBytes: eventBytesMax,
    schema: null,
    compatibility: null,
    owner: 'connect',
  },
  notificationsDeadLetters: deadLetters('notifications', 'notifications', 12),
  webhooksDeadLetters: deadLetters('webhooks', 'notifications', 12),
  chatDeadLetters: deadLetters('chat', 'chat', 12),
  chatIndexDeadLetters: deadLetters('chat-index', 'chat', 6),
} as const satisfies Record<string, Topic>;

/** Every topic, in the order in which they are made. */
export const allTopics: readonly Topic[] = Object.values(topics);

/** Name of the topic that keeps what the group gave up on. */
export function deadLetterTopicOf(groupId: string): string {
  return `${groupId}.dlq`;
}

/**
 * The topics that a group needs beside those that it reads, with as many partitions as the largest of them.
 *
 * @param retryTopics names of its tiers and its replay topic (`retryTopicsOf` of packages/streams): only for a group
 *   that keeps no order. One that does keeps what waits in Postgres.
 */
export function groupTopics(group: {
  groupId: string;
  owner: Topic['owner'];
  partitions: number;
  retryTopics?: readonly string[];
}): Topic[] {
  const letters = deadLetters(group.groupId, group.owner, group.partitions);
  const waiting = (group.retryTopics ?? []).map((name) => ({ ...letters, name, retentionMs: 7 * dayMs }));
  return [...waiting, letters];
}

/** The registry's subject of the topic's values. */
export function subjectOf(topicName: string): string {
  return `${topicName}-value`;
}

function deadLetters(groupId: string, owner: Topic['owner'], partitions: number): Topic {
  return {
    name: deadLetterTopicOf(groupId),
    key: 'original',
    partitions,
    retentionMs: 90 * dayMs,
    compression: 'gzip',
    maxMessageBytes: letterBytesMax,
    schema: null,
    compatibility: null,
    owner,
  };
}
