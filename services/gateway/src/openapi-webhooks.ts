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

const answers = {
  '2XX': { description: 'Taken. What is answered is kept for you to read, up to 4 KiB.' },
  '3XX': { description: 'Not taken: redirects are not followed. Tried again.' },
  '410': { description: 'Nothing more is wanted: the webhook is switched off, and the delivery has failed.' },
  '4XX': { description: 'Not taken: tried again. After 429 not before `Retry-After`, an hour at most.' },
  '5XX': { description: 'Not taken: tried again. After 503 not before `Retry-After`, an hour at most.' },
};

export function webhookOperations(): Json {
  const orders = Object.entries(eventTypes).map(([type, summary]) => [
    type,
    { post: operation(type, summary, orderData, { ...eventExamples.order_v1, event_type: type }) },
  ]);
  return { ...Object.fromEntries(orders), webhook_test: { post: test() } };
}

const orderData = {
  $ref: '#/components/schemas/OrderEventData',
  description:
    'The event as on Kafka. An order that would make more than 256 KiB comes without its items: `order.items` is empty, and `order.items_omitted` says how many there are.',
};

function test(): Json {
  const example = {
    event_id: '0199d2f4-7a11-7c3e-9b51-6f0d8a2c4e17',
    event_type: 'webhook_test',
    occurred_at: '2026-11-23T09:30:00.000Z',
    tenant_id: eventExamples.order_v1.tenant_id,
    webhook_id: '0199d2f4-7a16-7c3e-9b51-6f0d8a2c4e17',
  };
  const uuid = { type: 'string', format: 'uuid' };
  const data = {
    type: 'object',
    required: Object.keys(example),
    properties: {
      ...{ event_id: uuid, event_type: { const: 'webhook_test' }, occurred_at: instant },
      ...{ tenant_id: uuid, webhook_id: uuid },
    },
  };
  return operation(
    'webhook_test',
    'A test that was asked for, to whatever the webhook listens.',
    data,
    example,
  );
}

function operation(type: string, summary: string, schema: Json, data: Json): Json {
  return {
    operationId: type === 'webhook_test' ? type : `webhook_${type}`,
    summary,
    description:
      'Answer 2xx within 10 s; anything else is tried again over a day. Verify the signature before reading the body: https://www.standardwebhooks.com.',
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
            properties: { type: { const: type }, timestamp: instant, data: schema },
          },
          example: { type, timestamp: '2026-11-23T09:30:00.000Z', data },
        },
      },
    },
    responses: answers,
  };
}
