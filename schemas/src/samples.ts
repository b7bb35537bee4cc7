/** Values for tests and benchmarks, as the services would make them. */
import { randomUUIDv7 } from 'node:crypto';
import type {
  CatalogEvent,
  ChatEvent,
  ChatRequestEvent,
  DeadLetterEvent,
  LlmCallEvent,
  OrderEvent,
} from './types.generated.ts';

/** An order_created of one line; a caller names only what it is about. */
export function anOrderEvent(changes: Partial<OrderEvent> = {}): OrderEvent {
  const now = new Date().toISOString();
  const tenantId = changes.tenant_id ?? randomUUIDv7();
  const userId = changes.user_id ?? randomUUIDv7();
  return {
    event_id: randomUUIDv7(),
    event_type: 'order_created',
    occurred_at: now,
    tenant_id: tenantId,
    user_id: userId,
    actor_id: userId,
    order: {
      id: randomUUIDv7(),
      tenant_id: tenantId,
      user_id: userId,
      status: 'pending',
      items: [
        { product_id: randomUUIDv7(), name: 'Crème brûlée', quantity: 2, unit_price: 650, line_total: 1300 },
      ],
      currency: 'EUR',
      subtotal: 1300,
      discount: 0,
      total: 1300,
      promo_code: null,
      version: 1,
      created_at: now,
      updated_at: now,
    },
    previous_status: null,
    ...changes,
  };
}

/** A dead_letter_kept of the group notifications; a caller names only what it is about. */
export function aDeadLetterEvent(changes: Partial<DeadLetterEvent> = {}): DeadLetterEvent {
  return {
    event_id: randomUUIDv7(),
    event_type: 'dead_letter_kept',
    occurred_at: new Date().toISOString(),
    tenant_id: randomUUIDv7(),
    user_id: '',
    letter: {
      id: randomUUIDv7(),
      state: 'waiting',
      group: 'notifications',
      topic: 'orders.v1',
      partition: 3,
      offset: '9007199254740993',
      event_id: randomUUIDv7(),
      event_type: 'order_created',
      error_code: 'malformed',
      error_class: 'PermanentError',
      fingerprint: '1:5f2c',
      attempts: 1,
      version: 1,
    },
    alert: null,
    ...changes,
  };
}

/** A document_changed of a policy; a caller names only what it is about. */
export function aDocumentEvent(changes: Partial<CatalogEvent> = {}): CatalogEvent {
  const now = new Date().toISOString();
  const tenantId = changes.tenant_id ?? randomUUIDv7();
  return {
    event_id: randomUUIDv7(),
    event_type: 'document_changed',
    occurred_at: now,
    tenant_id: tenantId,
    actor_id: randomUUIDv7(),
    product: null,
    document: {
      id: randomUUIDv7(),
      tenant_id: tenantId,
      kind: 'policy',
      title: 'Refunds',
      source: 'policies/refunds.md',
      language: 'en',
      text: 'Within 14 days.',
      content_hash: '9f2c',
      version: 1,
      created_at: now,
      updated_at: now,
    },
    ...changes,
  };
}

/** A turn_requested; a caller names only what it is about. */
export function aChatRequest(changes: Partial<ChatRequestEvent> = {}): ChatRequestEvent {
  return {
    event_id: randomUUIDv7(),
    event_type: 'turn_requested',
    occurred_at: new Date().toISOString(),
    tenant_id: randomUUIDv7(),
    user_id: randomUUIDv7(),
    conversation_id: randomUUIDv7(),
    turn_id: randomUUIDv7(),
    message_id: randomUUIDv7(),
    approval_id: null,
    ...changes,
  };
}

/** A first message_delta; a caller names only what it is about. */
export function aChatEvent(changes: Partial<ChatEvent> = {}): ChatEvent {
  return {
    event_id: randomUUIDv7(),
    event_type: 'message_delta',
    occurred_at: new Date().toISOString(),
    tenant_id: randomUUIDv7(),
    user_id: randomUUIDv7(),
    conversation_id: randomUUIDv7(),
    turn_id: randomUUIDv7(),
    message_id: randomUUIDv7(),
    generation: 1,
    sequence: 1,
    text: 'We open at ',
    index: null,
    title: null,
    source: null,
    document_id: null,
    tool: null,
    call_id: null,
    ok: null,
    summary: null,
    duration_ms: null,
    approval_id: null,
    quote: null,
    message: null,
    usage: null,
    latency: null,
    code: null,
    ...changes,
  };
}

/** A call that went well; a caller names only what it is about. */
export function anLlmCall(changes: Partial<LlmCallEvent> = {}): LlmCallEvent {
  return {
    event_id: randomUUIDv7(),
    event_type: 'llm_call',
    occurred_at: new Date().toISOString(),
    tenant_id: randomUUIDv7(),
    user_id: randomUUIDv7(),
    conversation_id: randomUUIDv7(),
    turn_id: randomUUIDv7(),
    purpose: 'chat',
    prompt_name: 'answer',
    prompt_hash: '4c1d',
    endpoint: 'offline',
    model: 'extractive',
    input_tokens: 812,
    output_tokens: 64,
    cost_microunits: null,
    price_date: null,
    ttft_ms: 12,
    duration_ms: 340,
    outcome: 'ok',
    error_code: null,
    ...changes,
  };
}
