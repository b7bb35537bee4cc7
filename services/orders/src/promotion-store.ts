/** SQL of promotions. Every function runs in a transaction of the tenant. */
import type { Client } from '@ragline/postgres/pool';
import type { Promotion, RunningPromotion, VersionedPromotion } from './types.ts';

type PromotionRow = Omit<VersionedPromotion, 'starts_at' | 'ends_at'> & {
  starts_at: Date | null;
  ends_at: Date | null;
};

const columns = 'id, code, kind, value, minimum, starts_at, ends_at, usage_limit, used, active, version';

/** By its normalised code. */
export async function findPromotion(
  client: Client,
  tenantId: string,
  code: string,
): Promise<VersionedPromotion | undefined> {
  const sql = `SELECT ${columns} FROM orders.promotion WHERE tenant_id = $1 AND code = $2`;
  const { rows } = await client.query<PromotionRow>(sql, [tenantId, code]);
  return rows[0] && promotionFrom(rows[0]);
}

/** By its id; others cannot change it until the commit. */
export async function lockPromotion(
  client: Client,
  tenantId: string,
  id: string,
): Promise<VersionedPromotion | undefined> {
  const sql = `SELECT ${columns} FROM orders.promotion WHERE tenant_id = $1 AND id = $2 FOR UPDATE`;
  const { rows } = await client.query<PromotionRow>(sql, [tenantId, id]);
  return rows[0] && promotionFrom(rows[0]);
}

/** The newest first; one row more than `limit` when there is a next page. */
export async function listPromotions(
  client: Client,
  tenantId: string,
  afterId: string | undefined,
  limit: number,
): Promise<Promotion[]> {
  const { rows } = await client.query<PromotionRow>(
    `SELECT ${columns} FROM orders.promotion WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2::uuid)
     ORDER BY id DESC LIMIT $3`,
    [tenantId, afterId, limit + 1],
  );
  return rows.map((row) => publicPromotion(promotionFrom(row)));
}

/** What an order may use at that time, by what it asks for least; `max` of them. */
export async function listRunning(
  client: Client,
  tenantId: string,
  at: string,
  max: number,
): Promise<RunningPromotion[]> {
  const { rows } = await client.query<Omit<RunningPromotion, 'ends_at'> & { ends_at: Date | null }>(
    `SELECT code, kind, value, minimum, ends_at FROM orders.promotion
      WHERE tenant_id = $1 AND active AND (usage_limit IS NULL OR used < usage_limit)
        AND (starts_at IS NULL OR starts_at <= $2) AND (ends_at IS NULL OR ends_at > $2)
      ORDER BY minimum, id DESC LIMIT $3`,
    [tenantId, at, max],
  );
  return rows.map((row) => ({ ...row, ends_at: row.ends_at?.toISOString() ?? null }));
}

/** False when the tenant has the code already. */
export async function insertPromotion(
  client: Client,
  tenantId: string,
  promotion: Promotion,
  at: string,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `INSERT INTO orders.promotion (tenant_id, id, code, kind, value, minimum, starts_at, ends_at, usage_limit, active,
       created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) ON CONFLICT (tenant_id, code) DO NOTHING`,
    [tenantId, promotion.id, ...changeable(promotion), at],
  );
  return rowCount === 1;
}

/**
 * Writes a locked promotion; false when another one has its new code, after which the transaction can only be rolled
 * back. `used` is not touched: only orders count it.
 */
export async function updatePromotion(
  client: Client,
  tenantId: string,
  promotion: Promotion,
  at: string,
): Promise<boolean> {
  try {
    await client.query(
      `UPDATE orders.promotion SET code = $3, kind = $4, value = $5, minimum = $6, starts_at = $7, ends_at = $8,
         usage_limit = $9, active = $10, updated_at = $11, version = version + 1
       WHERE tenant_id = $1 AND id = $2`,
      [tenantId, promotion.id, ...changeable(promotion), at],
    );
    return true;
  } catch (error) {
    // unique_violation. Only the index knows of a code that another transaction is about to commit.
    if (error instanceof Error && 'code' in error && error.code === '23505') return false;
    throw error;
  }
}

/** A cancelled order has not used its promotion. */
export async function giveBackUse(client: Client, tenantId: string, id: string): Promise<void> {
  await client.query(
    'UPDATE orders.promotion SET used = used - 1 WHERE tenant_id = $1 AND id = $2 AND used > 0',
    [tenantId, id],
  );
}

/** Without what only this service needs. */
export function publicPromotion({ version: _, ...promotion }: VersionedPromotion): Promotion {
  return promotion;
}

function changeable({ code, kind, value, minimum, starts_at, ends_at, usage_limit, active }: Promotion) {
  return [code, kind, value, minimum, starts_at, ends_at, usage_limit, active];
}

function promotionFrom(row: PromotionRow): VersionedPromotion {
  return {
    ...row,
    starts_at: row.starts_at?.toISOString() ?? null,
    ends_at: row.ends_at?.toISOString() ?? null,
  };
}
