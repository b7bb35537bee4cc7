/** The AsyncAPI 3 document: the topics as `topics.ts` and the schemas have them, and the sockets. */
import { allTopics, type Topic } from '@ragline/schemas/topics';
import { socketChannels, socketMessages, socketOperations } from './asyncapi-sockets.ts';
import { topicChannels, topicMessages, topicOperations, topicSchemas } from './asyncapi-topics.ts';
import { shownEvents } from './event-schemas.ts';
import type { Json } from './openapi.ts';

const description = `Events on Kafka, and the same events on sockets. Requests, and server-sent events, are in [/openapi.json](/openapi.json).

Every event is written in the transaction that causes it and arrives at least once, in order by key. Act on its id once.`;

export function buildAsyncApi(topics: readonly Topic[] = allTopics): Json {
  return {
    asyncapi: '3.1.0',
    id: 'urn:ragline:events',
    info: {
      title: 'RAGline',
      version: '1.0.0',
      description,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: [
        { name: 'sockets', description: 'WebSockets: orders, notifications and answers as they happen.' },
        { name: 'topics', description: 'Kafka: the same events for services.' },
      ],
    },
    defaultContentType: 'application/json',
    servers: {
      gateway: {
        host: 'localhost:8080',
        protocol: 'ws',
        description: 'The one origin; `wss` behind TLS.',
        security: [
          { $ref: '#/components/securitySchemes/token' },
          { $ref: '#/components/securitySchemes/ticket' },
          { $ref: '#/components/securitySchemes/subprotocol' },
        ],
      },
      kafka: {
        host: 'localhost:9092',
        protocol: 'kafka',
        description: '`npx ragline env` prints the address, user and password in use.',
        security: [{ $ref: '#/components/securitySchemes/sasl' }],
      },
    },
    channels: { ...socketChannels(), ...topicChannels(topics) },
    operations: { ...socketOperations(), ...topicOperations(topics) },
    components: {
      messages: { ...socketMessages, ...topicMessages(topics) },
      schemas: { ...shownEvents(), ...topicSchemas(topics) },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token of `POST /v1/auth/login`.',
        },
        ticket: {
          type: 'httpApiKey',
          in: 'query',
          name: 'ticket',
          description: 'Of `POST /v1/auth/tickets`: good once, within 30 s.',
        },
        subprotocol: {
          type: 'httpApiKey',
          in: 'header',
          name: 'Sec-WebSocket-Protocol',
          description: '`ragline.v1.json, ragline.bearer.<access token>`: for browsers.',
        },
        sasl: { type: 'plain', description: 'SASL PLAIN; each user has rights of its own.' },
      },
    },
  };
}
