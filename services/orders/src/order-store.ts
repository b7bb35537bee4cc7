/** SQL of orders. All but `placeOrder` and `findAnswer` run in a transaction of the tenant. */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Order, OrderStatus } from './types.ts';

/** What one call of POST /v1/orders wants to have written. Ids and times are decided by the caller. */
export type Placement = {
  key: string;
  requestHash: Buffer;
  order: Order;
  /** The order as JSON: it is stored as it is, and is the answer to a repetition of the key. */
  answer: string;
  /** One for each item of the order, as its price was decided from. */
  productVersions: readonly number[];
  promotion: { id: string; version: number } | undefined;
  event_id: string;
  payload: Buffer;
  traceparent: string;
};

export type PlacementOutcome =
  | { outcome: 'created' | 'key_reused' | 'products_changed' | 'promotion_changed' }
  | { outcome: 'replay'; answer: string };

/** Its key is held by a twin that does not come to an end. */
export class TwinAtWorkError extends Error {
  override readonly name = 'TwinAtWorkError';
}

// Called as a value, since a function in FROM costs a tenth more of the whole; so it has one result, a text.
const placeOrderSql = `SELECT orders.place_order($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
  $16, $17, $18, $19, $20, $21, $22, $23, $24, $25) AS result`;

/**
 * The one statement of the hot path: named, so that each connection plans it once.
 *
 * A twin's key is waited for as long as the pool's lock_timeout allows; then throws TwinAtWorkError.
 */
export async function placeOrder(pool: Pool, it: Placement): Promise<PlacementOutcome> {
  try {
    return await callPlaceOrder(pool, it);
  } catch (error) {
    throw isWaitForKey(error) ? new TwinAtWorkError('The key is held', { cause: error }) : error;
  }
}

async function callPlaceOrder(pool: Pool, it: Placement): Promise<PlacementOutcome> {
  const { order } = it;
  const { items } = order;
  const { rows } = await pool.query<{ result: string }>({
    name: 'place_order',
    text: placeOrderSql,
    values: [
      order.tenant_id,
      order.user_id,
      it.key,
      it.requestHash,
      it.answer,
      order.id,
      order.created_at,
      order.currency,
      order.subtotal,
      order.discount,
      order.total,
      order.promo_code,
      order.notes,
      it.promotion?.id,
      it.promotion?.version,
      plainArray(items.map((item) => item.product_id)),
      plainArray(it.productVersions),
      items.map((item) => item.name),
      plainArray(items.map((item) => item.quantity)),
      plainArray(items.map((item) => item.unit_price)),
      plainArray(items.map((item) => item.line_total)),
      items.map((item) => item.notes),
      it.event_id,
      it.payload,
      it.traceparent,
    ],
  });
  return placementOutcomeFrom(rows[0]?.result);
}

/** An array of UUIDs or numbers as Postgres reads it: these need none of the quoting that the driver does. */
function plainArray(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}

/** What is kept under a key; undefined when nothing is, or for longer than 24 hours. */
export async function findAnswer(
  client: Client,
  { tenant_id, user_id }: Pick<Order, 'tenant_id' | 'user_id'>,
  { key, requestHash }: Pick<Placement, 'key' | 'requestHash'>,
): Promise<PlacementOutcome | undefined> {
  const { rows } = await client.query<{ result: string }>(
    `SELECT CASE WHEN request_hash = $4 THEN answer ELSE 'key_reused' END AS result FROM orders.order_key
     WHERE tenant_id = $1 AND user_id = $2 AND key = $3 AND created_at >= clock_timestamp() - interval '24 hours'`,
    [tenant_id, user_id, key, requestHash],
  );
  return rows[0] && placementOutcomeFrom(rows[0].result);
}

export type OrderFilter = {
  /** Only this user's orders. */
  userId?: string | undefined;
  status?: OrderStatus | undefined;
  fromMs?: number | undefined;
  toMs?: number | undefined;
  afterId?: string | undefined;
  limit: number;
};

/** An order with what only this service needs. */
export type StoredOrder = { order: Order; promotionId: string | null; completedAtMs: number | undefined };

type OrderRow = Omit<Order, 'created_at' | 'updated_at'> & {
  created_at: Date;
  updated_at: Date;
  promotion_id: string | null;
  completed_at: Date | null;
};

// The order of the columns is the order of the members in every answer.
const selectOrders = `SELECT o.id, o.tenant_id, o.user_id, o.status,
    (SELECT json_agg(json_build_object('product_id', i.product_id, 'name', i.name, 'quantity', i.quantity,
       'unit_price', i.unit_price, 'line_total', i.line_total, 'notes', i.notes) ORDER BY i.position)
     FROM orders.order_item i WHERE i.tenant_id = o.tenant_id AND i.order_id = o.id) AS items,
    o.currency, o.subtotal, o.discount, o.total, o.promo_code, o.notes, o.version, o.created_at, o.updated_at,
    o.promotion_id, o.completed_at
  FROM orders.orders o`;

/** `userId` names whose it has to be; `lock` keeps others from changing it until the commit. */
export async function findOrder(
  client: Client,
  tenantId: string,
  id: string,
  { userId, lock = false }: { userId?: string | undefined; lock?: boolean } = {},
): Promise<StoredOrder | undefined> {
  const { rows } = await client.query<OrderRow>(
    `${selectOrders} WHERE o.tenant_id = $1 AND o.id = $2 AND ($3::uuid IS NULL OR o.user_id = $3::uuid)
     ${lock ? 'FOR UPDATE OF o' : ''}`,
    [tenantId, id, userId],
  );
  return rows[0] && orderFrom(rows[0]);
}

/** The newest first; one row more than `limit` when there is a next page. */
export async function listOrders(client: Client, tenantId: string, filter: OrderFilter): Promise<Order[]> {
  const values: unknown[] = [tenantId];
  const value = (it: unknown) => `$${values.push(it)}`;
  const where = ['o.tenant_id = $1'];
  if (filter.userId !== undefined) where.push(`o.user_id = ${value(filter.userId)}`);
  if (filter.status !== undefined) where.push(`o.status = ${value(filter.status)}`);
  if (filter.fromMs !== undefined) where.push(`o.id >= ${value(firstIdAt(filter.fromMs))}`);
  if (filter.toMs !== undefined) where.push(`o.id < ${value(firstIdAt(filter.toMs))}`);
  if (filter.afterId !== undefined) where.push(`o.id < ${value(filter.afterId)}`);
  const sql = `${selectOrders} WHERE ${where.join(' AND ')} ORDER BY o.id DESC LIMIT ${value(filter.limit + 1)}`;
  const { rows } = await client.query<OrderRow>(sql, values);
  return rows.map((row) => orderFrom(row).order);
}

/** Writes the new state of a locked order; false when its version is no longer the one before. */
export async function updateOrder(
  client: Client,
  { order, completedAtMs }: Pick<StoredOrder, 'order' | 'completedAtMs'>,
  cancelReason: string | undefined,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE orders.orders SET status = $3, version = $4, updated_at = $5, completed_at = $6,
       cancel_reason = coalesce($7, cancel_reason)
     WHERE tenant_id = $1 AND id = $2 AND version = $4 - 1`,
    [
      order.tenant_id,
      order.id,
      order.status,
      order.version,
      order.updated_at,
      completedAtMs === undefined ? null : new Date(completedAtMs),
      cancelReason,
    ],
  );
  return rowCount === 1;
}

/** The lowest UUIDv7 of a millisecond, so that a time is a place in the primary key. */
export function firstIdAt(ms: number): string {
  const within = Math.min(Math.max(Math.floor(ms), 0), 2 ** 48 - 1);
  const hex = within.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** lock_not_available while inserting into the keys: Postgres names the table in the error's context. */
function isWaitForKey(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== '55P03') return false;
  return 'where' in error && typeof error.where === 'string' && error.where.includes('order_key');
}

function orderFrom({ promotion_id, completed_at, ...row }: OrderRow): StoredOrder {
  const order = {
    ...row,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
  return { order, promotionId: promotion_id, completedAtMs: completed_at?.getTime() };
}

/** The result of place_order: a word, or the first answer, which is a JSON object. */
function placementOutcomeFrom(result: string | undefined): PlacementOutcome {
  switch (result) {
    case 'created':
    case 'key_reused':
    case 'products_changed':
    case 'promotion_changed':
      return { outcome: result };
  }
  if (result?.startsWith('{')) return { outcome: 'replay', answer: result };
  throw new Error(`place_order answered ${result ?? 'nothing'}`);
}
