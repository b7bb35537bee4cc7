/** What comes in and goes out over HTTP: checked at the border, described in OpenAPI. */
import {
  currency,
  freeObject,
  int,
  money,
  moneyMax,
  queryBoolean,
  queryInt,
  text,
  timestamp,
  uuid,
} from '@ragline/web/fields';
import { pageQuery } from '@ragline/web/pages';
import { z } from 'zod';
import {
  newProductExample,
  newPromotionExample,
  orderEventExample,
  orderExample,
  orderRequestExample,
  productChangesExample,
  productExample,
  promotionChangesExample,
  promotionExample,
  quoteExample,
  quoteRequestExample,
  runningPromotionExample,
} from './examples.ts';
import { refusalReasons } from './promotion-rules.ts';
import { orderStatuses } from './transitions.ts';

const itemsMax = 200;
const quantityMax = 1_000;

// One spelling: ids are also keys of caches.
const id = uuid.toLowerCase();
const times = { created_at: z.iso.datetime(), updated_at: z.iso.datetime() };
export const idParams = z.object({ id: id.meta({ description: 'The id.' }) });
export const ifMatchHeader = z.object({
  'if-match': z
    .string()
    .max(1_000)
    .optional()
    .meta({ description: 'An `ETag`: 412 when it was changed since.', example: '"3"' }),
});

const productFields = {
  name: text(200, 1),
  description: text(10_000),
  category: text(100, 1).nullable(),
  tags: z.array(text(50, 1)).max(50),
  price: money,
  currency,
  available: z.boolean(),
  attributes: freeObject(),
};
export const newProduct = z
  .strictObject({
    ...productFields,
    description: productFields.description.default(''),
    category: productFields.category.default(null),
    tags: productFields.tags.default([]),
    available: productFields.available.default(true),
    attributes: productFields.attributes.default({}),
  })
  .meta({ examples: [newProductExample] });
export const productChanges = z
  .strictObject(productFields)
  .partial()
  .meta({ examples: [productChangesExample] });
export const product = z
  .object({ id, ...productFields, version: z.int(), ...times })
  .meta({ id: 'Product', examples: [productExample] });
export const productQuery = z.object({
  ...pageQuery,
  q: text(200, 1).optional().meta({ description: 'Words, or nearly: the last one may be a beginning.' }),
  category: text(100, 1).optional().meta({ description: 'Of this category alone.' }),
  tag: text(50, 1).optional().meta({ description: 'With this tag.' }),
  available: queryBoolean.optional().meta({ description: 'true: what can be ordered now.' }),
  min_price: queryInt(0, moneyMax).optional().meta({ description: 'Minor units, itself included.' }),
  max_price: queryInt(0, moneyMax).optional().meta({ description: 'Minor units, itself included.' }),
  sort: z
    .enum(['name', 'price', '-price', 'relevance'])
    .optional()
    .meta({ description: 'relevance with `q`, else name, when not given.' }),
});

const promotionFields = {
  code: text(40, 1)
    .regex(/^\s*[\p{L}\p{N}][\p{L}\p{N}._-]*\s*$/u, 'must be letters, digits, dots, dashes and underscores')
    .meta({ description: 'Upper and lower case are the same code.' }),
  kind: z.enum(['percent', 'amount']),
  value: int(1, moneyMax).meta({ description: 'Whole percents from 1 to 100, or minor units.' }),
  minimum: money.meta({ description: 'Smallest subtotal that it applies to.' }),
  starts_at: timestamp.nullable(),
  ends_at: timestamp.nullable(),
  usage_limit: int(0).nullable(),
  active: z.boolean(),
};
export const newPromotion = z
  .strictObject({
    ...promotionFields,
    minimum: promotionFields.minimum.default(0),
    starts_at: promotionFields.starts_at.default(null),
    ends_at: promotionFields.ends_at.default(null),
    usage_limit: promotionFields.usage_limit.default(null),
    active: promotionFields.active.default(true),
  })
  .meta({ examples: [newPromotionExample] });
export const promotionChanges = z
  .strictObject(promotionFields)
  .partial()
  .meta({ examples: [promotionChangesExample] });
export const promotion = z
  .object({ id, ...promotionFields, used: z.int() })
  .meta({ id: 'Promotion', examples: [promotionExample] });

export const runningPromotion = promotion
  .pick({ code: true, kind: true, value: true, minimum: true, ends_at: true })
  .meta({ id: 'RunningPromotion', examples: [runningPromotionExample] });

const line = z.strictObject({ product_id: id, quantity: int(1, quantityMax), notes: text(500).nullish() });
const basket = { items: z.array(line).min(1).max(itemsMax), promo_code: text(64, 1).nullish() };
export const quoteRequest = z.strictObject(basket).meta({ examples: [quoteRequestExample] });
export const orderRequest = z
  .strictObject({
    ...basket,
    notes: text(1_000).nullish(),
    quote_token: text(1_024, 1).optional(),
  })
  .meta({ examples: [orderRequestExample] });

const item = z.object({
  product_id: id,
  name: z.string(),
  quantity: z.int(),
  unit_price: money,
  line_total: z.int(),
  notes: z.string().nullable(),
});
const amounts = {
  items: z.array(item),
  currency,
  subtotal: z.int(),
  discount: z.int(),
  total: z.int(),
  promo_code: z.string().nullable(),
};
export const quote = z
  .object({
    quote_token: z.string(),
    expires_at: z.iso.datetime(),
    ...amounts,
    refused: z.array(z.object({ code: z.string(), reason: z.enum(refusalReasons) })),
  })
  .meta({ id: 'Quote', examples: [quoteExample] });
export const order = z
  .object({
    id,
    tenant_id: id,
    user_id: id,
    status: z.enum(orderStatuses),
    ...amounts,
    notes: z.string().nullable(),
    version: z.int(),
    ...times,
  })
  .meta({ id: 'Order', examples: [orderExample] });
export const orderEvent = z
  .object({
    event_id: id,
    event_type: z.string(),
    occurred_at: z.iso.datetime(),
    tenant_id: id,
    user_id: id,
    actor_id: id,
    order: z
      .record(z.string(), z.unknown())
      .meta({ description: 'The order right after, without any notes.' }),
    previous_status: z.enum(orderStatuses).nullable(),
  })
  .meta({ id: 'OrderEvent', examples: [orderEventExample] });

export const orderQuery = z.object({
  ...pageQuery,
  status: z.enum(orderStatuses).optional().meta({ description: 'In this state now.' }),
  from: timestamp.optional().meta({ description: 'Placed at or after.' }),
  to: timestamp.optional().meta({ description: 'Placed before.' }),
});
export const historyQuery = z.object(pageQuery);
export const statusChange = z
  .strictObject({ status: z.enum(orderStatuses) })
  .meta({ examples: [{ status: 'confirmed' }] });
export const cancellation = z
  .strictObject({ reason: text(1_000).nullish() })
  .meta({ examples: [{ reason: 'Ordered twice' }] })
  .optional();
export const eventTrace = z.object({
  order_id: id.nullable(),
  topic: z.string(),
  event_type: z.string(),
  traceparent: z.string(),
  occurred_at: z.iso.datetime(),
  committed_at: z.iso.datetime(),
});
