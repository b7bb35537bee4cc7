/** What the OpenAPI document shows: one question about the menu, and what the assistant knows. */

const at = '2026-11-23T09:30:00.000Z';
const times = { created_at: at, updated_at: at };
const conversation_id = '0199d2f4-8b21-7d4f-8c62-7a1e9b3d5f28';
const turn_id = '0199d2f4-8b22-7d4f-8c62-7a1e9b3d5f28';
const productId = '0199c0de-0000-7000-8000-000000000003';

export const conversationExample = {
  id: conversation_id,
  title: 'Is there a dessert without nuts?',
  ...times,
};

export const citationExample = {
  index: 1,
  title: 'Crème brûlée',
  source: `products/${productId}`,
  document_id: productId,
};

export const messageExample = {
  ...{ id: '0199d2f4-8b23-7d4f-8c62-7a1e9b3d5f28', conversation_id, turn_id, role: 'assistant' },
  content: 'Yes: the crème brûlée has no nuts in it [1].',
  state: 'completed',
  citations: [citationExample],
  approval_id: null,
  model: 'gpt-5-mini',
  usage: { input_tokens: 812, output_tokens: 64 },
  latency: { retrieval_ms: 38, first_token_ms: 412, total_ms: 1_890 },
  context: null,
  error_code: null,
  ...{ created_at: at, completed_at: '2026-11-23T09:30:01.890Z' },
};

export const newMessageExample = { content: 'Is there a dessert without nuts?' };

const item = { product_id: productId, name: 'Crème brûlée', quantity: 2, unit_price: 650, line_total: 1_300 };

export const approvalExample = {
  ...{ approval_id: '0199d2f4-8b2a-7d4f-8c62-7a1e9b3d5f28', state: 'pending' },
  quote: {
    items: [{ ...item, notes: null }],
    ...{ currency: 'EUR', subtotal: 1_300, discount: 0, total: 1_300, promo_code: null, notes: null },
    expires_at: '2026-11-23T09:45:00.000Z',
  },
  ...{ reason: null, order_id: null, decided_at: null, expires_at: '2026-11-23T09:45:00.000Z' },
};

export const toolExample = {
  name: 'retrieve_menu',
  description: 'Finds dishes by words, price and allergens.',
  parameters: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
  ...{ effect: 'read', roles: ['customer'], timeout_ms: 3_000, enabled: true, updated_at: null },
};

const about = {
  kind: 'policy',
  title: 'Refunds',
  media_type: 'text/markdown',
  source: 'policies/refunds.md',
  language: 'en',
  attributes: {},
} as const;
export const newDocumentExample = { ...about, content: '# Refunds\n\nWithin 14 days, in full.' };
export const documentExample = {
  ...{ id: '0199d2f4-9c30-7d4f-8c62-7a1e9b3d5f28', ...about },
  ...{ content_hash: '9f2c1b7a5d3e', version: 2, letters: 33, ...times },
};
export const listedDocumentExample = { ...documentExample, indexed_version: 2 };
export const wholeDocumentExample = {
  ...listedDocumentExample,
  text: '# Refunds\n\nWithin 14 days, in full.',
};

export const modelExample = {
  ...{ id: 'minilm_l6_v2', version: '1', dimensions: 384, state: 'active' },
  ...{ chunks: 420, embedded: 420, missing: 0, activated_at: at },
};

export const foundChunkExample = {
  ...{
    id: '0199d2f4-9c31-7d4f-8c62-7a1e9b3d5f28',
    source_id: productId,
    kind: 'menu',
    title: 'Crème brûlée',
  },
  ...{ header: 'Menu › Desserts › Crème brûlée', text: 'With vanilla, burnt at the table. 6.50 EUR.' },
  ...{ score: 0.71, tokens: 18, category: 'desserts', tags: ['vegetarian'], allergens: ['egg', 'milk'] },
  ...{ price: 650, currency: 'EUR', available: true, source: `products/${productId}`, changed_at: at },
};

const head = { id: 'chatcmpl-0199d2f4', created: 1_795_426_200, model: 'ragline' };
export const completionRequestExample = {
  model: 'ragline',
  messages: [{ role: 'user', content: 'Is there a dessert without nuts?' }],
};
export const completionExample = {
  ...{ ...head, object: 'chat.completion' },
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: messageExample.content, refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 812, completion_tokens: 64, total_tokens: 876 },
  citations: [citationExample],
};
export const openAiModelExample = {
  id: 'ragline',
  object: 'model',
  created: 1_767_225_600,
  owned_by: 'ragline',
};
