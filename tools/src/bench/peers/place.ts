/**
 * What a bare service does for an order, without anything that makes ours a product: no row-level security, no
 * validation, no promotions, no versions of products, no problems, no metrics, traces or logs. It verifies the same
 * token (each time: the bare servers remember none), and writes the same rows into the same tables: key, order, items
 * and an event in Avro. A repeated key gets the first answer.
 */
import { hash, randomUUIDv7 } from 'node:crypto';
import { createCodec } from '@ragline/schemas/codec';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { createLocalJWKSet, jwtVerify } from 'jose';
import pg from 'pg';

export type Caller = { tenantId: string; userId: string };
export type PlaceBody = { items: { product_id: string; quantity: number }[] };
export type PlacedOrder = { id: string; text: string };
type Product = { id: string; name: string; price: number; currency: string };
type Line = OrderEvent['order']['items'][number];

pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** Who sent the request; throws when the token is not good. */
export function callers() {
  const keys = createLocalJWKSet(JSON.parse(setting('JWKS')));
  const rules = {
    algorithms: ['ES256'],
    issuer: setting('TOKEN_ISSUER'),
    audience: setting('TOKEN_AUDIENCE'),
  };
  return async (authorization: string | undefined): Promise<Caller> => {
    const { payload } = await jwtVerify(authorization?.slice('Bearer '.length) ?? '', keys, rules);
    return { tenantId: String(payload.tenant_id), userId: String(payload.sub) };
  };
}

/** Places orders in five statements, or in one, as the setting STATEMENTS says. */
export async function placing() {
  const pool = new pg.Pool({
    connectionString: setting('DATABASE_URL'),
    max: Number(setting('DATABASE_POOL')),
  });
  const encode = await createCodec({ registryUrl: setting('SCHEMA_REGISTRY_URL') }).encoder('order_v1');
  const write = setting('STATEMENTS') === 'one' ? inOne(pool) : inFive(pool);
  return async (caller: Caller, key: string, body: PlaceBody): Promise<PlacedOrder> => {
    const ids = body.items.map((item) => item.product_id);
    const decide: Decide = (products) => {
      const order = priced(caller, body, products);
      const event = eventOf(order);
      return { order, text: JSON.stringify(order), eventId: event.event_id, payload: encode(event) };
    };
    try {
      return await write(caller, key, body, ids, decide);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== '23505') throw error;
      return firstAnswer(pool, caller, key);
    }
  };
}

async function firstAnswer(pool: pg.Pool, { tenantId, userId }: Caller, key: string): Promise<PlacedOrder> {
  const { rows } = await pool.query<{ id: string; text: string }>(
    `SELECT answer::json ->> 'id' AS id, answer AS text FROM orders.order_key
     WHERE tenant_id = $1 AND user_id = $2 AND key = $3`,
    [tenantId, userId, key],
  );
  if (!rows[0]) throw new Error('Neither placed nor answered before');
  return rows[0];
}

type Decided = { order: OrderEvent['order']; text: string; eventId: string; payload: Buffer };
type Decide = (products: readonly Product[]) => Decided;
type Write = (
  caller: Caller,
  key: string,
  body: PlaceBody,
  ids: string[],
  decide: Decide,
) => Promise<PlacedOrder>;

const productsSql =
  'SELECT id, name, price, currency FROM orders.product WHERE tenant_id = $1 AND id = ANY ($2)';

/** The usual way: a transaction around five statements. */
function inFive(pool: pg.Pool): Write {
  return async (caller, key, body, ids, decide) => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query<Product>(productsSql, [caller.tenantId, ids]);
      const { order, text, eventId, payload } = decide(rows);
      await client.query(
        'INSERT INTO orders.order_key (tenant_id, user_id, key, request_hash, answer) VALUES ($1, $2, $3, $4, $5)',
        [caller.tenantId, caller.userId, key, hashOf(body), text],
      );
      await client.query(
        `INSERT INTO orders.orders (tenant_id, id, user_id, status, currency, subtotal, discount, total, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $6, 1, $7, $7)`,
        [
          caller.tenantId,
          order.id,
          caller.userId,
          order.status,
          order.currency,
          order.total,
          order.created_at,
        ],
      );
      await client.query(
        `INSERT INTO orders.order_item (tenant_id, order_id, position, product_id, name, quantity, unit_price, line_total)
         SELECT $1, $2, i.* FROM unnest($3::int[], $4::uuid[], $5::text[], $6::int[], $7::bigint[], $8::bigint[]) AS i`,
        [caller.tenantId, order.id, ...columnsOf(order.items)],
      );
      await client.query(
        `INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
         VALUES ($1, 'orders.v1', $2, 'order_created', $3, $4, $5, $6)`,
        [eventId, order.id, payload, caller.tenantId, caller.userId, traceparent],
      );
      await client.query('COMMIT');
      return { id: order.id, text };
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  };
}

/** The quick way: prices remembered by the process, and one prepared statement that writes everything. */
function inOne(pool: pg.Pool): Write {
  const known = new Map<string, Product>();
  return async (caller, key, body, ids, decide) => {
    if (ids.some((id) => !known.has(id))) {
      const { rows } = await pool.query<Product>(productsSql, [caller.tenantId, ids]);
      for (const product of rows) known.set(product.id, product);
    }
    const { order, text, eventId, payload } = decide([...new Set(ids)].flatMap((id) => known.get(id) ?? []));
    await pool.query({
      name: 'place',
      text: `WITH k AS (
               INSERT INTO orders.order_key (tenant_id, user_id, key, request_hash, answer) VALUES ($1, $2, $3, $4, $5)
             ), o AS (
               INSERT INTO orders.orders (tenant_id, id, user_id, status, currency, subtotal, discount, total, version, created_at, updated_at)
               VALUES ($1, $6, $2, $7, $8, $9, 0, $9, 1, $10, $10)
             ), i AS (
               INSERT INTO orders.order_item (tenant_id, order_id, position, product_id, name, quantity, unit_price, line_total)
               SELECT $1, $6, i.* FROM unnest($11::int[], $12::uuid[], $13::text[], $14::int[], $15::bigint[], $16::bigint[]) AS i
             )
             INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
             VALUES ($17, 'orders.v1', $6::text, 'order_created', $18, $1, $2::text, $19)`,
      values: [
        caller.tenantId,
        caller.userId,
        key,
        hashOf(body),
        text,
        order.id,
        order.status,
        order.currency,
        order.total,
        order.created_at,
        ...columnsOf(order.items),
        eventId,
        payload,
        traceparent,
      ],
    });
    return { id: order.id, text };
  };
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function hashOf(body: PlaceBody): Buffer {
  return hash('sha256', JSON.stringify(body), 'buffer');
}

function columnsOf(items: readonly Line[]): unknown[] {
  return [
    items.map((_, index) => index + 1),
    items.map((item) => item.product_id),
    items.map((item) => item.name),
    items.map((item) => item.quantity),
    items.map((item) => item.unit_price),
    items.map((item) => item.line_total),
  ];
}

function priced(caller: Caller, body: PlaceBody, products: readonly Product[]): OrderEvent['order'] {
  const byId = new Map(products.map((product) => [product.id, product]));
  const items = body.items.map(({ product_id, quantity }) => {
    const product = byId.get(product_id);
    if (!product) throw new Error(`There is no product ${product_id}`);
    return {
      product_id,
      name: product.name,
      quantity,
      unit_price: product.price,
      line_total: product.price * quantity,
    };
  });
  const total = items.reduce((sum, item) => sum + item.line_total, 0);
  const now = new Date().toISOString();
  return {
    id: randomUUIDv7(),
    tenant_id: caller.tenantId,
    user_id: caller.userId,
    status: 'pending',
    items,
    currency: products[0]?.currency ?? 'EUR',
    subtotal: total,
    discount: 0,
    total,
    promo_code: null,
    version: 1,
    created_at: now,
    updated_at: now,
  };
}

function eventOf(order: OrderEvent['order']): OrderEvent {
  const { tenant_id, user_id, created_at } = order;
  return {
    event_id: randomUUIDv7(),
    event_type: 'order_created',
    occurred_at: created_at,
    tenant_id,
    user_id,
    actor_id: user_id,
    order,
    previous_status: null,
  };
}
