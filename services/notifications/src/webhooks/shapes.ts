/** Webhooks as REST and OpenAPI have them. */
import { text, uuid } from '@ragline/web/fields';
import { pageQuery } from '@ragline/web/pages';
import { z } from 'zod';
import { eventTypes } from './message.ts';

const url = text(2_048, 1).meta({
  description:
    'Where events are posted: https, port 443 or 1024 and above, a name or address that anyone can reach, no login in it.',
});
const eventTypeList = z
  .array(z.enum([...eventTypes, '*']))
  .min(1)
  .max(eventTypes.length + 1)
  .transform((types) => [...new Set(types)])
  .meta({ description: 'Which events it is told; `*` is all, also those of later versions.' });
const description = text(200).nullable().meta({ description: 'For people.' });
const active = z.boolean().meta({ description: 'Whether events are sent to it.' });

export const webhookId = z.object({ id: uuid.meta({ description: 'Of the webhook.' }) });
export const deliveryId = z.object({ id: uuid.meta({ description: 'Of the delivery; its `webhook-id`.' }) });

export const newWebhook = z
  .strictObject({
    url,
    event_types: eventTypeList.default(['*']),
    description: description.default(null),
    active: active.default(true),
  })
  .meta({
    id: 'NewWebhook',
    examples: [
      {
        url: 'https://shop.example/hooks/orders',
        event_types: ['order_created', 'order_cancelled'],
        description: 'The till',
        active: true,
      },
    ],
  });

export const webhookChange = z
  .strictObject({
    url: url.optional(),
    event_types: eventTypeList.optional(),
    description: description.optional(),
    active: active.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'must change something')
  .meta({ id: 'WebhookChange', examples: [{ active: true }] });

const fields = {
  id: uuid,
  url: z.string(),
  event_types: z.array(z.string()),
  description: z.string().nullable(),
  active,
  disabled_reason: z.enum(['gone', 'failing', 'exhausted']).nullable().meta({
    description:
      'Why RAGline switched it off: it answered 410, failed for days without a success, or too many deliveries in a row were given up.',
  }),
  disabled_at: z.iso.datetime().nullable(),
  failing_since: z.iso
    .datetime()
    .nullable()
    .meta({ description: 'The first try that failed since the last success.' }),
  paused_until: z.iso.datetime().nullable().meta({
    description:
      'Nothing is sent to it before, after failures in a row or since it asked for it (`Retry-After`); what is due waits. null: it is not paused.',
  }),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
};
const exampleId = '019a3f2e-7c1b-7d10-8a55-2f6b1c9d0e11';
const example = {
  id: exampleId,
  url: 'https://shop.example/hooks/orders',
  event_types: ['order_created', 'order_cancelled'],
  description: 'The till',
  active: true,
  disabled_reason: null,
  disabled_at: null,
  failing_since: null,
  paused_until: null,
  created_at: '2026-11-23T09:00:00.000Z',
  updated_at: '2026-11-23T09:00:00.000Z',
};
export const webhook = z.object(fields).meta({ id: 'Webhook', examples: [example] });

const secret = z.string().meta({ description: 'Signs what is sent. Shown now and never again.' });
const exampleSecret = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
export const createdWebhook = z
  .object({ ...fields, secret })
  .meta({ id: 'CreatedWebhook', examples: [{ ...example, secret: exampleSecret }] });

export const rotation = z
  .strictObject({
    overlap_s: z
      .int()
      .min(0)
      .max(2_592_000)
      .optional()
      .meta({ description: 'For so long the secret before signs as well; 0 when it is known to others.' }),
  })
  .optional()
  .meta({ id: 'WebhookSecretRotation', examples: [{ overlap_s: 86_400 }] });
export const rotated = z
  .object({ id: uuid, secret })
  .meta({ id: 'WebhookSecret', examples: [{ id: exampleId, secret: exampleSecret }] });

const attempt = z.object({
  number: z.int(),
  at: z.iso.datetime(),
  duration_ms: z.int().nullable(),
  status: z.int().nullable().meta({ description: 'Of the answer; null when none came.' }),
  error_code: z.string().nullable().meta({
    description:
      'null: delivered. `status` (not 2xx), `redirected`, `gone`, `timeout`, `name_unresolved`, `address_refused`, `connection_failed`, `tls_failed`, `answer_malformed`, `secret_unreadable` (RAGline’s own fault: nothing was sent), or `interrupted`: RAGline ended before it knew.',
  }),
  answer: z.string().nullable().meta({ description: 'The first 4 KiB of the answer; null where none came.' }),
});
export const delivery = z
  .object({
    id: uuid.meta({ description: 'The `webhook-id` of each try.' }),
    webhook_id: uuid,
    event_id: uuid,
    event_type: z.string(),
    state: z.enum(['waiting', 'delivered', 'failed']),
    attempt_count: z.int(),
    next_attempt_at: z.iso.datetime().nullable().meta({
      description:
        'When it is tried, or as soon after as there is a place; null when it is not waiting. Not before the end of a pause of the webhook (`paused_until`).',
    }),
    created_at: z.iso.datetime(),
    finished_at: z.iso.datetime().nullable(),
    attempts: z.array(attempt).meta({
      description: 'Every try, in their order; one that is under way is counted already, and not yet here.',
    }),
  })
  .meta({
    id: 'WebhookDelivery',
    examples: [
      {
        id: '019a3f30-1a2b-7c3d-8e4f-5a6b7c8d9e0f',
        webhook_id: exampleId,
        event_id: '019a3f30-19ff-7d42-9b1e-0c1d2e3f4a5b',
        event_type: 'order_created',
        state: 'delivered',
        attempt_count: 1,
        next_attempt_at: null,
        created_at: '2026-11-23T09:02:11.120Z',
        finished_at: '2026-11-23T09:02:11.204Z',
        attempts: [
          {
            number: 1,
            at: '2026-11-23T09:02:11.131Z',
            duration_ms: 64,
            status: 204,
            error_code: null,
            answer: '',
          },
        ],
      },
    ],
  });
export const deliveryPage = z.object({
  ...pageQuery,
  state: z
    .enum(['waiting', 'delivered', 'failed'])
    .optional()
    .meta({ description: 'waiting: for its first try or another; failed: given up.' }),
});
