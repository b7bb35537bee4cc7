/** One event of each topic as the documents show it: the same order, customer and conversation throughout. */
import type {
  CatalogEvent,
  ChatEvent,
  ChatRequestEvent,
  DeadLetterEvent,
  LlmCallEvent,
  NotificationEvent,
  OrderEvent,
  RevocationEvent,
  SchemaName,
} from '@ragline/schemas/types.generated';

const tenant_id = '0199c0de-0000-7000-8000-000000000001';
const user_id = '0199c0de-0000-7000-8000-000000000002';
const orderId = '0199d2f4-7a10-7c3e-9b51-6f0d8a2c4e17';
const productId = '0199c0de-0000-7000-8000-000000000003';
const conversation_id = '0199d2f4-8b21-7d4f-8c62-7a1e9b3d5f28';
const turn_id = '0199d2f4-8b22-7d4f-8c62-7a1e9b3d5f28';
const message_id = '0199d2f4-8b23-7d4f-8c62-7a1e9b3d5f28';
const occurred_at = '2026-11-23T09:30:00.000Z';
const times = { created_at: occurred_at, updated_at: occurred_at };

const order: OrderEvent = {
  event_id: '0199d2f4-7a11-7c3e-9b51-6f0d8a2c4e17',
  event_type: 'order_created',
  occurred_at,
  tenant_id,
  user_id,
  actor_id: user_id,
  order: {
    id: orderId,
    tenant_id,
    user_id,
    status: 'pending',
    items: [{ product_id: productId, name: 'Crème brûlée', quantity: 2, unit_price: 650, line_total: 1300 }],
    currency: 'EUR',
    subtotal: 1300,
    discount: 0,
    total: 1300,
    promo_code: null,
    version: 1,
    ...times,
  },
  previous_status: null,
};

const notification: NotificationEvent = {
  event_id: '0199d2f4-7a12-7c3e-9b51-6f0d8a2c4e17',
  event_type: 'notification_created',
  occurred_at,
  tenant_id,
  user_id,
  audience: 'user',
  notification: {
    id: '0199d2f4-7a13-7c3e-9b51-6f0d8a2c4e17',
    kind: 'order_created',
    event_id: order.event_id,
    order_id: orderId,
    title: 'Your order is in.',
    read_at: null,
    created_at: occurred_at,
  },
  while_staff: false,
  preferences: null,
};

const catalog: CatalogEvent = {
  event_id: '0199d2f4-7a14-7c3e-9b51-6f0d8a2c4e17',
  event_type: 'product_changed',
  occurred_at,
  tenant_id,
  actor_id: user_id,
  product: {
    id: productId,
    tenant_id,
    name: 'Crème brûlée',
    description: 'With vanilla, burnt at the table.',
    category: 'desserts',
    tags: ['vegetarian'],
    price: 650,
    currency: 'EUR',
    available: true,
    attributes: { allergens: ['egg', 'milk'] },
    version: 3,
    ...times,
  },
  document: null,
};

const revocation: RevocationEvent = {
  event_id: '0199d2f4-7a15-7c3e-9b51-6f0d8a2c4e17',
  event_type: 'session_revoked',
  occurred_at,
  tenant_id,
  user_id,
  session_id: '0199d2f4-6a10-7c3e-9b51-6f0d8a2c4e17',
  valid_until: '2026-11-23T09:45:00.000Z',
};

const deadLetter: DeadLetterEvent = {
  event_id: '0199d2f4-7a16-7c3e-9b51-6f0d8a2c4e17',
  event_type: 'dead_letter_kept',
  occurred_at,
  tenant_id,
  user_id: '',
  letter: {
    id: '0199d2f4-7a17-7c3e-9b51-6f0d8a2c4e17',
    state: 'waiting',
    group: 'notifications',
    topic: 'orders.v1',
    partition: 3,
    offset: '41',
    event_id: order.event_id,
    event_type: 'order_created',
    error_code: 'schema_unknown',
    error_class: 'PermanentError',
    fingerprint: '1:5f2c9a',
    attempts: 1,
    version: 1,
  },
  alert: null,
};

const chatRequest: ChatRequestEvent = {
  event_id: '0199d2f4-8b24-7d4f-8c62-7a1e9b3d5f28',
  event_type: 'turn_requested',
  occurred_at,
  tenant_id,
  user_id,
  conversation_id,
  turn_id,
  message_id,
  approval_id: null,
};

const llmCall: LlmCallEvent = {
  event_id: '0199d2f4-8b25-7d4f-8c62-7a1e9b3d5f28',
  event_type: 'llm_call',
  occurred_at,
  tenant_id,
  user_id,
  conversation_id,
  turn_id,
  purpose: 'chat',
  prompt_name: 'assistant',
  prompt_hash: '4c1d0b',
  endpoint: 'openai',
  model: 'gpt-5-mini',
  input_tokens: 812,
  output_tokens: 64,
  cost_microunits: 331,
  price_date: '2026-11-01',
  ttft_ms: 412,
  duration_ms: 1890,
  outcome: 'ok',
  error_code: null,
};

/** Without the fields that would be null, as it is shown. */
export const messageDelta = {
  event_id: '0199d2f4-8b26-7d4f-8c62-7a1e9b3d5f28',
  event_type: 'message_delta',
  occurred_at,
  tenant_id,
  user_id,
  conversation_id,
  turn_id,
  message_id,
  generation: 1,
  sequence: 1,
  text: 'We open at ',
} satisfies Partial<ChatEvent>;

export const eventExamples: Record<SchemaName, { event_id: string; event_type: string; tenant_id: string }> =
  {
    order_v1: order,
    notification_v1: notification,
    catalog_v1: catalog,
    revocation_v1: revocation,
    dead_letter_v1: deadLetter,
    chat_request_v1: chatRequest,
    llm_call_v1: llmCall,
    chat_event_v1: messageDelta,
  };
