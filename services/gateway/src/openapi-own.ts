/** What the gateway answers itself, for the document at `/openapi.json`. */
import type { Json } from './openapi.ts';

const problems = (...statuses: number[]) =>
  Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: 'A problem (RFC 9457).',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/GatewayProblem' } } },
      },
    ]),
  );

const json = (description: string, schema: Json) => ({
  description,
  content: { 'application/json': { schema } },
});

const instant = { type: 'string', format: 'date-time' };
const texts = { type: 'object', additionalProperties: { type: 'string' } };

export const gatewayPaths: { paths: Json; components: { [kind: string]: Json } } = {
  paths: {
    '/v1/system': {
      get: {
        summary: 'How the services, their instances and the sentinel stand',
        description: 'For operators.',
        operationId: 'readSystem',
        tags: ['system'],
        security: [{ bearer: [] }],
        responses: {
          200: json('The system as the gateway sees it.', { $ref: '#/components/schemas/System' }),
          ...problems(401, 403, 429, 503),
        },
      },
    },
    '/v1/events/{event_id}/trace': {
      get: {
        summary: "An event's path with times",
        description: "Staff see their own tenant's events, operators all.",
        operationId: 'traceEvent',
        tags: ['system'],
        security: [{ bearer: [] }],
        parameters: [
          { name: 'event_id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } },
        ],
        responses: {
          200: json('What is known of the event.', { $ref: '#/components/schemas/EventTrace' }),
          ...problems(401, 403, 404, 429, 503),
        },
      },
    },
  },
  components: {
    // As the services have it: schemes that are alike become one.
    securitySchemes: {
      bearer: {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'An access token from `POST /v1/auth/login`.',
      },
    },
    schemas: {
      GatewayProblem: {
        type: 'object',
        required: ['type', 'title', 'status', 'code', 'request_id'],
        properties: {
          type: { type: 'string' },
          title: { type: 'string' },
          status: { type: 'integer' },
          detail: { type: 'string' },
          code: { type: 'string' },
          request_id: { type: 'string' },
        },
      },
      System: {
        type: 'object',
        required: ['gateway', 'services', 'sentinel'],
        properties: {
          gateway: { type: 'object' },
          services: {
            type: 'array',
            items: {
              type: 'object',
              required: ['name', 'status', 'version', 'instances'],
              properties: {
                name: { type: 'string' },
                status: { enum: ['ready', 'degraded', 'not_ready'] },
                version: { type: ['string', 'null'] },
                instances: {
                  type: 'array',
                  items: {
                    type: 'object',
                    properties: {
                      name: { type: 'string' },
                      address: { type: 'string' },
                      status: { enum: ['ready', 'not_ready', 'down'] },
                      since: instant,
                      checks: texts,
                      open_requests: { type: 'integer' },
                    },
                  },
                },
              },
            },
          },
          sentinel: {
            type: 'object',
            properties: {
              state: { enum: ['ok', 'late', 'starting', 'off'] },
              ages: {
                type: 'array',
                items: {
                  type: 'object',
                  properties: {
                    stage: { type: 'string' },
                    instance: { type: 'string' },
                    age_seconds: { type: 'number' },
                  },
                },
              },
            },
          },
        },
      },
      EventTrace: {
        type: 'object',
        required: ['event_id', 'origin', 'instances', 'groups', 'missing'],
        properties: {
          event_id: { type: 'string', format: 'uuid' },
          origin: {
            type: ['object', 'null'],
            description: 'Request, commit and traceparent, from its writer.',
          },
          record: { type: ['object', 'null'], description: 'Topic, partition and offset on Kafka.' },
          groups: { type: 'array', items: { type: 'object' }, description: "Each group's outcome." },
          dead_letters: {
            type: 'array',
            items: { type: 'object' },
            description:
              'The letters of groups that gave up on it: for operators, and for admins of its tenant.',
          },
          instances: {
            type: 'array',
            items: { type: 'object' },
            description: 'Reached sockets, by instance.',
          },
          missing: {
            type: 'array',
            items: { type: 'string' },
            description: 'Instances that could not be asked.',
          },
        },
      },
    },
  },
};
