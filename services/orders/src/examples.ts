/** What the OpenAPI document shows: one product, ordered once, from its quote to its history. */

const tenant_id = '0199c0de-0000-7000-8000-000000000001';
const user_id = '0199c0de-0000-7000-8000-000000000002';
const product_id = '0199c0de-0000-7000-8000-000000000003';
const at = '2026-11-23T09:30:00.000Z';
const times = { created_at: at, updated_at: at };

const dish = {
  name: 'Crème brûlée',
  description: 'With vanilla, burnt at the table.',
  category: 'desserts',
  tags: ['vegetarian'],
  price: 650,
  currency: 'EUR',
  available: true,
  attributes: { allergens: ['egg', 'milk'] },
};
export const newProductExample = dish;
export const productChangesExample = { price: 690, available: false };
export const productExample = { id: product_id, ...dish, version: 3, ...times };

const offer = {
  code: 'WELCOME10',
  kind: 'percent',
  value: 10,
  minimum: 1_000,
  starts_at: null,
  ends_at: '2026-12-31T23:00:00.000Z',
  usage_limit: 500,
  active: true,
};
export const newPromotionExample = offer;
export const promotionChangesExample = { active: false };
export const promotionExample = { id: '0199c0de-0000-7000-8000-000000000004', ...offer, used: 17 };
export const runningPromotionExample = {
  code: 'WELCOME10',
  kind: 'percent',
  value: 10,
  minimum: 1_000,
  ends_at: '2026-12-31T23:00:00.000Z',
};

const item = { product_id, name: 'Crème brûlée', quantity: 2, unit_price: 650, line_total: 1_300 };
const amounts = { currency: 'EUR', subtotal: 1_300, discount: 130, total: 1_170, promo_code: 'WELCOME10' };
const basket = { items: [{ product_id, quantity: 2, notes: 'one without sugar' }], promo_code: 'WELCOME10' };
const quote_token = 'eyJhbGciOiJIUzI1NiJ9.eyJxIjoiMTE3MCJ9.c2ln';

export const quoteRequestExample = basket;
export const quoteExample = {
  quote_token,
  expires_at: '2026-11-23T09:45:00.000Z',
  items: [{ ...item, notes: 'one without sugar' }],
  ...amounts,
  refused: [],
};
export const orderRequestExample = { ...basket, notes: 'Table 7', quote_token };

const placed = { id: '0199d2f4-7a10-7c3e-9b51-6f0d8a2c4e17', tenant_id, user_id, status: 'pending' };
export const orderExample = {
  ...placed,
  items: [{ ...item, notes: 'one without sugar' }],
  ...amounts,
  notes: 'Table 7',
  version: 1,
  ...times,
};
export const orderEventExample = {
  event_id: '0199d2f4-7a11-7c3e-9b51-6f0d8a2c4e17',
  event_type: 'order_created',
  occurred_at: at,
  tenant_id,
  user_id,
  actor_id: user_id,
  order: { ...placed, items: [item], ...amounts, version: 1, ...times },
  previous_status: null,
};
