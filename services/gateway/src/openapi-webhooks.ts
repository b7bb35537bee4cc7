/** What RAGline sends to the addresses of a tenant, for the `webhooks` of the OpenAPI document. */
import { eventExamples } from './event-examples.ts';
import type { Json } from './openapi.ts';

const text = { type: 'string' };
const instant = { type: 'string', format: 'date-time' };

const eventTypes = {
  order_created: 'An order was placed.',
  order_status_changed: 'An order went a step on, or was called back.',
  order_cancelled: 'An order was cancelled.',
};

const header = (name: string, description: string) => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: text,
});

const parameters = [
  header('webhook-id', 'The same in all tries: do each once.'),
  header(
    'webhook-timestamp',
    'When this try was made, in seconds since 1970. Refuse what is older than 5 min.',
  ),
  header(
    'webhook-signature',
    'One or more `v1,<base64>`, apart by a space: HMAC-SHA256 of `<id>.<timestamp>.<body>` by the endpoint’s secret. Any that fits is enough: while secrets are exchanged there are two.',
  ),
];

export function webhookOperations(): Json {
  return Object.fromEntries(
    Object.entries(eventTypes).map(([type, summary]) => [type, { post: operation(type, summary) }]),
  );
}

function operation(type: string, summary: string): Json {
  const order = eventExamples.order_v1;
  const example = { type, timestamp: '2026-11-23T09:30:00.000Z', data: { ...order, event_type: type } };
  return {
    operationId: `webhook_${type}`,
    summary,
    description:
      'Answer 2xx within 10 s; anything else is tried again over a day. Redirects are not followed. Verify the signature before reading the body: https://www.standardwebhooks.com.',
    tags: ['webhooks'],
    security: [],
    parameters,
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['type', 'timestamp', 'data'],
            properties: {
              type: { const: type },
              timestamp: instant,
              data: { $ref: '#/components/schemas/OrderEventData' },
            },
          },
          example,
        },
      },
    },
    responses: {
      '2XX': { description: 'Taken. What is answered is kept for you to read, up to 4 KiB.' },
      '4XX': { description: 'Not taken: tried again.' },
    },
  };
}
