/** Fills the sample tenants with products, promotions, documents and orders, over REST like any client. */
import { acmeProducts, acmePromotions } from '../seed/acme-menu.ts';
import type { SampleProduct, SamplePromotion } from '../seed/catalogue.ts';
import { demoProducts, demoPromotions } from '../seed/demo-menu.ts';
import { sampleDocuments } from '../seed/documents.ts';
import { type SampleOrder, sampleOrders, stepsTo } from '../seed/orders.ts';
import { isJson, type Rest, rowsOf, SeedError, signIn } from '../seed/rest.ts';

export type SeedOptions = {
  /** Of the gateway. */
  url: string;
  /** Of the sample users. */
  demoPassword: string;
  /** Of the sentinel's users; without it the sentinel gets no product. */
  sentinelPassword?: string | undefined;
};

/** What is there now. `made` is how much of it this run made. */
export type SeedResult = {
  tenants: number;
  products: number;
  documents: number;
  orders: number;
  made: number;
};

const ordersPerTenant = 20;
const shops = [
  { tenant: 'demo', products: demoProducts, promotions: demoPromotions },
  { tenant: 'acme', products: acmeProducts, promotions: acmePromotions },
];
const sentinelProduct: SampleProduct = {
  name: 'Sentinel',
  description: 'Ordered every few seconds to prove that orders arrive.',
  category: 'sentinel',
  tags: [],
  price: 100,
  currency: 'EUR',
  available: true,
  attributes: { sku: 'sentinel-product' },
};

/**
 * Makes what is missing. Products are found by their attribute sku, promotions by their code, documents by their
 * source, and orders are made when the sample customer has fewer than the sample has; keys make a run that broke off go on.
 *
 * Throws SeedError with the request that failed.
 */
export async function seed({ url, demoPassword, sentinelPassword }: SeedOptions): Promise<SeedResult> {
  const [results, sentinelMade] = await Promise.all([
    Promise.all(shops.map((shop) => seedShop(url, demoPassword, shop))),
    sentinelPassword === undefined ? 0 : seedSentinel(url, sentinelPassword),
  ]);
  return results.reduce<SeedResult>(
    (sum, { products, documents, made }) => ({
      tenants: sum.tenants + 1,
      products: sum.products + products,
      documents: sum.documents + documents,
      orders: sum.orders + ordersPerTenant,
      made: sum.made + made,
    }),
    { tenants: 0, products: 0, documents: 0, orders: 0, made: sentinelMade },
  );
}

async function seedShop(url: string, password: string, shop: (typeof shops)[number]) {
  const { tenant } = shop;
  const as = (role: string) => signIn(url, { tenant, email: `${role}@${tenant}.example`, password });
  const [staff, customer] = await Promise.all([as('staff'), as('customer')]);
  const products = await seedProducts(staff, shop.products);
  const promotions = await seedPromotions(staff, shop.promotions);
  const documents = await seedDocuments(staff, tenant);
  const orderable = shop.products
    .filter(({ available }) => available)
    .map(({ attributes }) => attributes.sku);
  const samples = sampleOrders(orderable, shop.promotions[0]?.code, ordersPerTenant);
  const orders = await seedOrders({ staff, customer, ids: products.ids, samples });
  const made = products.made + promotions + documents.made + orders;
  return { products: products.ids.size, documents: documents.count, made };
}

/** Whether the sentinel's product had to be made, as a number. */
async function seedSentinel(url: string, password: string): Promise<number> {
  const staff = await signIn(url, { tenant: 'sentinel', email: 'staff@sentinel.example', password });
  return (await seedProducts(staff, [sentinelProduct])).made;
}

/** The ids of the sample products by sku. */
async function seedProducts(staff: Rest, samples: readonly SampleProduct[]) {
  const ids = new Map<string, string>();
  for (const { id, attributes } of await staff.all('/v1/products')) {
    const sku = isJson(attributes) ? attributes.sku : undefined;
    if (typeof sku === 'string') ids.set(sku, String(id));
  }
  let made = 0;
  for (const sample of samples) {
    const { sku } = sample.attributes;
    if (ids.has(sku)) continue;
    const { id } = await staff.post('/v1/products', sample, `seed-product-${sku}`);
    ids.set(sku, String(id));
    made += 1;
  }
  return { ids: new Map(samples.map(({ attributes: { sku } }) => [sku, ids.get(sku) ?? ''])), made };
}

async function seedPromotions(staff: Rest, samples: readonly SamplePromotion[]): Promise<number> {
  const known = new Set((await staff.all('/v1/promotions')).map(({ code }) => code));
  const missing = samples.filter(({ code }) => !known.has(code));
  for (const sample of missing) await staff.post('/v1/promotions', sample, `seed-promotion-${sample.code}`);
  return missing.length;
}

/** Those that somebody has changed since stay as they are. */
async function seedDocuments(staff: Rest, tenant: string): Promise<{ count: number; made: number }> {
  const samples = await sampleDocuments(tenant);
  const known = new Set((await staff.all('/v1/knowledge/documents')).map(({ source }) => source));
  const missing = samples.filter(({ source }) => !known.has(source));
  // Without a key: a source is there once anyway, and one that was deleted today is to come back.
  for (const sample of missing) await staff.post('/v1/knowledge/documents', sample);
  return { count: samples.length, made: missing.length };
}

type OrderParts = { staff: Rest; customer: Rest; ids: Map<string, string>; samples: SampleOrder[] };

async function seedOrders({ staff, customer, ids, samples }: OrderParts): Promise<number> {
  const present = rowsOf(await customer.get(`/v1/orders?limit=${samples.length}`));
  if (present.length >= samples.length) return 0;
  for (const [number, sample] of samples.entries()) {
    const order = await customer.post(
      '/v1/orders',
      {
        items: sample.lines.map(({ sku, quantity }) => ({ product_id: ids.get(sku), quantity })),
        ...(sample.promoCode && { promo_code: sample.promoCode }),
        ...(sample.notes && { notes: sample.notes }),
      },
      `seed-order-${number}`,
    );
    // Of a replay the answer is the first one, so how far the order came is asked for.
    const { status } = await customer.get(`/v1/orders/${String(order.id)}`);
    await advance({ staff, customer }, String(order.id), statusFrom(status), sample);
  }
  return samples.length - present.length;
}

async function advance(
  { staff, customer }: Pick<OrderParts, 'staff' | 'customer'>,
  id: string,
  from: SampleOrder['status'],
  { status: to }: SampleOrder,
): Promise<void> {
  for (const status of stepsTo(from, to)) {
    if (status === 'cancelled') await customer.post(`/v1/orders/${id}/cancel`, { reason: 'Changed my mind' });
    else await staff.post(`/v1/orders/${id}/status`, { status });
  }
}

function statusFrom(value: unknown): SampleOrder['status'] {
  const known = ['pending', 'confirmed', 'preparing', 'ready', 'completed', 'cancelled'] as const;
  const status = known.find((name) => name === value);
  if (status === undefined) throw new SeedError(`An order has the unknown status ${String(value)}`);
  return status;
}
