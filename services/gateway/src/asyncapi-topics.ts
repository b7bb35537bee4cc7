/** The topics of `topics.ts` for the AsyncAPI document: what they carry, keyed by what, kept how long. */
import { deadLetterTopicOf, type Topic } from '@ragline/schemas/topics';
import type { SchemaName } from '@ragline/schemas/types.generated';
import { eventExamples } from './event-examples.ts';
import { avroOf } from './event-schemas.ts';
import type { Json } from './openapi.ts';

const text = { type: 'string' };
const uuid = { type: 'string', format: 'uuid' };
const instant = { type: 'string', format: 'date-time' };
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

const eventHeaders = {
  id: { ...uuid, description: 'The event id: the idempotency key of whoever acts on it.' },
  event_type: text,
  tenant_id: { ...uuid, description: 'Whose data it is; the same as in the value.' },
  user_id: { ...text, description: 'Whom it concerns; empty where it is nobody.' },
  traceparent: { ...text, description: 'W3C trace context of the request that caused it.' },
  'content-type': { const: 'application/avro' },
};

const recordHeaders = { type: 'object', required: Object.keys(eventHeaders), properties: eventHeaders };

/** On top of the original's own: the first six once and then kept, the others of the last attempt. */
const letterHeaders = {
  type: 'object',
  properties: {
    'original-topic': { ...text, description: 'Where the record was read at first.' },
    'original-partition': text,
    'original-offset': text,
    'original-timestamp': instant,
    'original-group': { ...text, description: 'The consumer group that failed.' },
    'first-failed-at': instant,
    attempt: { ...text, description: 'From 1.' },
    'not-before': { ...instant, description: 'When the last attempt was due.' },
    'error-code': { ...text, description: 'Stable, such as `malformed` or `tenant_mismatch`.' },
    'error-class': text,
    'error-message': text,
    'error-stack': { ...text, description: '4 KiB at most.' },
    'failed-at': instant,
    'parked-record': {
      ...text,
      description: 'From groups that keep order: the record that waits in its line.',
    },
    deaths: { ...text, description: 'From groups that keep order: how often it ended the process.' },
  },
  examples: [
    {
      'original-topic': 'orders.v1',
      'original-partition': '3',
      'original-offset': '41',
      'original-group': 'notifications',
      attempt: '1',
      'error-code': 'schema_unknown',
    },
  ],
};

/** Topics that groups without order have, of whatever name: they are made by `npx ragline topics group`. */
const groupChannels = {
  group_dlq: ['{group}.dlq', 'What the group gave up on, kept for 90 days.', 'deadLetter'],
  group_retry: [
    '{group}.retry.{delay}',
    'What the group tries again after the delay, kept for 7 days.',
    'deadLetter',
  ],
  group_replay: ['{group}.replay', 'What an operator sends back to the group alone.', 'deadLetter'],
} as const;

const parameters = {
  group: { description: 'The consumer group.', examples: ['billing'] },
  delay: { description: 'How long a record waits there.', enum: ['60s', '120s', '240s', '3600s'] },
};

export function topicSchemas(topics: readonly Topic[]): Json {
  const names = new Set(topics.flatMap(({ schema }) => (schema === null ? [] : [schema])));
  const entries = [...names].map((name) => [
    name,
    { schemaFormat: 'application/vnd.apache.avro+json;version=1.9.0', schema: avroOf(name) },
  ]);
  return Object.fromEntries(entries);
}

export function topicMessages(topics: readonly Topic[]): Json {
  const events = topics.flatMap((topic) =>
    topic.schema === null ? [] : [[topic.schema, eventMessage(topic, topic.schema)]],
  );
  return {
    ...Object.fromEntries(events),
    deadLetter: {
      name: 'dead_letter',
      title: 'A dead letter',
      summary: 'The original record, byte for byte, with the reason in headers.',
      description: 'A null value is one that was null: nothing is deleted by it.',
      contentType: 'application/octet-stream',
      headers: letterHeaders,
    },
    heartbeat: {
      name: 'heartbeat',
      title: 'Sign of life',
      summary: 'Of the connector: it moves its place on when no event does.',
      contentType: 'application/json',
      payload: { type: 'object' },
    },
  };
}

function eventMessage(topic: Topic, name: SchemaName): Json {
  const example = eventExamples[name];
  const { event_id: id, event_type, tenant_id } = example;
  return {
    name,
    title: name,
    contentType: 'application/avro',
    summary: 'Avro in the Confluent wire format: a zero byte, the schema id in four bytes, the value.',
    description: `Registered as \`${topic.name}-value\`, ${topic.compatibility}. As JSON, decoded:\n\n\`\`\`json\n${JSON.stringify(example, null, 2)}\n\`\`\``,
    headers: {
      ...recordHeaders,
      examples: [{ id, event_type, tenant_id, user_id: '', traceparent, 'content-type': 'application/avro' }],
    },
    payload: { $ref: `#/components/schemas/${name}` },
    bindings: {
      kafka: {
        key: { type: 'string', description: topic.key },
        schemaIdLocation: 'payload',
        schemaIdPayloadEncoding: 'confluent',
        bindingVersion: '0.5.0',
      },
    },
  };
}

const servers = [{ $ref: '#/servers/kafka' }];
const idOf = (topic: Topic) => topic.name.replaceAll(/[^A-Za-z0-9]/g, '_').replace(/^_/, '');

function messageOf({ schema, owner }: Topic): string {
  if (schema !== null) return schema;
  return owner === 'connect' ? 'heartbeat' : 'deadLetter';
}

export function topicChannels(topics: readonly Topic[]): Json {
  const known = topics.map((topic) => [idOf(topic), topicChannel(topic)]);
  const ofGroups = Object.entries(groupChannels).map(([id, [address, description, message]]) => [
    id,
    {
      ...{ address, description, servers },
      parameters: Object.fromEntries(
        Object.entries(parameters).filter(([name]) => address.includes(`{${name}}`)),
      ),
      messages: { record: { $ref: `#/components/messages/${message}` } },
    },
  ]);
  return { ...Object.fromEntries(known), ...Object.fromEntries(ofGroups) };
}

function topicChannel(topic: Topic): Json {
  const { name, key, owner, partitions, retentionMs, maxMessageBytes, compression, direct } = topic;
  const days = retentionMs / 86_400_000;
  const kept = days >= 1 ? `${days} d` : `${days * 24} h`;
  const how = direct || topic.schema === null ? '' : ', through its outbox';
  return {
    address: name,
    title: name,
    description: `Keyed by ${key}; ${partitions} partition${partitions === 1 ? '' : 's'}, kept for ${kept}; written by ${owner}${how}.`,
    servers,
    messages: { record: { $ref: `#/components/messages/${messageOf(topic)}` } },
    bindings: {
      kafka: {
        topic: name,
        partitions,
        topicConfiguration: {
          'cleanup.policy': ['delete'],
          'retention.ms': retentionMs,
          'max.message.bytes': maxMessageBytes,
        },
        'x-compression-type': compression,
        bindingVersion: '0.5.0',
      },
    },
  };
}

export function topicOperations(topics: readonly Topic[]): Json {
  const known = topics.map((topic) => {
    const dead = topic.name === deadLetterTopicOf(topic.name.replace(/\.dlq$/, ''));
    const summary = dead
      ? 'A group gives up on a record; the dead letter service keeps it.'
      : `RAGline writes to ${topic.name}; whoever has the right may read.`;
    return [`${idOf(topic)}_written`, operation(idOf(topic), summary)];
  });
  const ofGroups = Object.entries(groupChannels).map(([id, [, summary]]) => [
    `${id}_written`,
    operation(id, summary),
  ]);
  return { ...Object.fromEntries(known), ...Object.fromEntries(ofGroups) };
}

function operation(channel: string, summary: string): Json {
  return {
    action: 'send',
    channel: { $ref: `#/channels/${channel}` },
    messages: [{ $ref: `#/channels/${channel}/messages/record` }],
    summary,
    tags: [{ name: 'topics' }],
  };
}
