/** The AsyncAPI 3 document: the topics as `topics.ts` and the schemas have them, and the sockets. */
import { readFile } from 'node:fs/promises';
import { allTopics, type Topic } from '@ragline/schemas/topics';
import { jsonSchemaOf } from './avro-json-schema.ts';
import type { Json } from './openapi.ts';
import { chatClientMessages, clientMessages, serverMessages } from './socket-messages.ts';

const schemas = new URL('../avro/', import.meta.resolve('@ragline/schemas/topics'));

/** What each socket channel carries as `data` of its events. */
const carried = {
  orders: 'order_v1',
  notifications: 'notification_v1',
  conversation: 'chat_event_v1',
} as const;

const said = Object.keys(clientMessages);
const told = Object.keys(serverMessages([]));

const sockets = {
  ws: { address: '/ws', title: 'One socket for all channels, subscribed to as one likes.', said, told },
  wsOrders: { address: '/ws/orders', title: 'The same, subscribed to `orders` from the start.', said, told },
  wsChat: {
    address: '/ws/chat',
    title: 'Questions to the assistant, and its answers as events.',
    said: [...Object.keys(chatClientMessages), 'auth', 'ping'],
    // What was missed comes as events, without a word of its own.
    told: told.filter((name) => name !== 'recovered'),
  },
};

/** Reads the schemas and builds the document. */
export async function readAsyncApi(): Promise<Json> {
  const topics = allTopics.filter((topic) => topic.schema !== null);
  const names = [...new Set(topics.flatMap(({ schema }) => (schema === null ? [] : [schema])))];
  const avro = new Map<string, unknown>();
  for (const name of names)
    avro.set(name, JSON.parse(await readFile(new URL(`${name}.avsc`, schemas), 'utf8')));
  return buildAsyncApi(topics, avro);
}

/** @param avro the parsed `.avsc` by the name of its schema */
export function buildAsyncApi(topics: readonly Topic[], avro: ReadonlyMap<string, unknown>): Json {
  const eventData = Object.values(carried).map((name) => jsonSchemaOf(avro.get(name)));
  const messages = { ...serverMessages(eventData), ...clientMessages, ...chatClientMessages };
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'RAGline',
      version: '1.0.0',
      description:
        'Events on Kafka, and the same events on sockets. Server-sent events are in /openapi.json.',
    },
    defaultContentType: 'application/json',
    servers: {
      gateway: {
        host: 'localhost:8080',
        protocol: 'ws',
        security: [{ $ref: '#/components/securitySchemes/token' }],
      },
      kafka: {
        host: 'localhost:9092',
        protocol: 'kafka',
        description: '`npx ragline env` prints the address, user and password in use.',
        security: [{ $ref: '#/components/securitySchemes/sasl' }],
      },
    },
    channels: { ...Object.fromEntries(topics.map(topicChannel)), ...socketChannels() },
    operations: { ...Object.fromEntries(topics.map(topicOperation)), ...socketOperations() },
    components: {
      messages,
      schemas: Object.fromEntries(
        [...avro].map(([name, schema]) => [
          name,
          { schemaFormat: 'application/vnd.apache.avro+json;version=1.9.0', schema },
        ]),
      ),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Or `?ticket=` of POST /v1/auth/tickets, or the sub-protocol `ragline.bearer.<jwt>`.',
        },
        sasl: { type: 'plain' },
      },
    },
  };
}

const idOf = (topic: Topic) => topic.name.replaceAll(/[^A-Za-z0-9]/g, '_');

function topicChannel(topic: Topic): [string, Json] {
  const channel = {
    address: topic.name,
    description: `Keyed by ${topic.key}; written by ${topic.owner}.`,
    servers: [{ $ref: '#/servers/kafka' }],
    messages: {
      record: {
        name: topic.schema,
        contentType: 'application/avro',
        summary: 'Avro in the Confluent wire format: a zero byte, the schema id in four bytes, the value.',
        headers: recordHeaders,
        payload: { $ref: `#/components/schemas/${topic.schema}` },
        bindings: {
          kafka: {
            key: { type: 'string', description: topic.key },
            schemaIdLocation: 'payload',
            schemaIdPayloadEncoding: 'confluent',
            bindingVersion: '0.5.0',
          },
        },
      },
    },
    bindings: {
      kafka: {
        topic: topic.name,
        partitions: topic.partitions,
        topicConfiguration: { 'retention.ms': topic.retentionMs, 'max.message.bytes': topic.maxMessageBytes },
        bindingVersion: '0.5.0',
      },
    },
  };
  return [idOf(topic), channel];
}

function topicOperation(topic: Topic): [string, Json] {
  const channel = `#/channels/${idOf(topic)}`;
  return [
    `${idOf(topic)}_written`,
    {
      action: 'send',
      channel: { $ref: channel },
      messages: [{ $ref: `${channel}/messages/record` }],
      summary: `RAGline writes to ${topic.name}; anyone with the right may read.`,
    },
  ];
}

function socketChannels(): Json {
  const channels = Object.entries(sockets).map(([id, { address, title, said, told }]) => [
    id,
    {
      address,
      title,
      servers: [{ $ref: '#/servers/gateway' }],
      messages: Object.fromEntries(
        [...told, ...said].map((name) => [name, { $ref: `#/components/messages/${name}` }]),
      ),
      bindings: {
        ws: {
          method: 'GET',
          query: { type: 'object', properties: { ticket: { type: 'string' } } },
          bindingVersion: '0.1.0',
        },
      },
    },
  ]);
  return Object.fromEntries(channels);
}

function socketOperations(): Json {
  const operations = Object.entries(sockets).flatMap(([id, { said, told }]) => {
    const of = (names: string[]) => names.map((name) => ({ $ref: `#/channels/${id}/messages/${name}` }));
    const channel = { $ref: `#/channels/${id}` };
    return [
      [`${id}_told`, { action: 'send', channel, messages: of(told) }],
      [`${id}_asked`, { action: 'receive', channel, messages: of(said) }],
    ];
  });
  return Object.fromEntries(operations);
}

const text = { type: 'string' };

const recordHeaders = {
  type: 'object',
  required: ['id', 'event_type', 'tenant_id', 'user_id', 'traceparent', 'content-type'],
  properties: {
    id: { type: 'string', format: 'uuid', description: 'The event id.' },
    event_type: text,
    tenant_id: { type: 'string', format: 'uuid' },
    user_id: text,
    traceparent: text,
    'content-type': { const: 'application/avro' },
  },
};
