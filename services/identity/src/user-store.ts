/** Users and tenants in Postgres. Functions take the caller's transaction, in which the tenant is set. */
import { type Client, type Pool, setTenant } from '@ragline/postgres/pool';
import type { ChangeEffects, Tenant, User, UserChange } from './domain.ts';
import type { RevocationReason } from './revocations.ts';
import { type TenantRow, tenantFrom, type UserRow, userColumns, userFrom } from './rows.ts';

export type NewUser = Pick<User, 'id' | 'tenant_id' | 'email' | 'name' | 'roles'> & { password_hash: string };

/** One page and a row more, by id. */
export async function listUsers(client: Client, tenantId: string, after: string | undefined, limit: number) {
  const { rows } = await client.query<UserRow>(
    `SELECT ${userColumns} FROM identity.user_account u
     WHERE u.tenant_id = $1 AND ($2::uuid IS NULL OR u.id > $2) ORDER BY u.id LIMIT $3`,
    [tenantId, after ?? null, limit + 1],
  );
  return rows.map(userFrom);
}

export async function findUser(client: Client, tenantId: string, id: string): Promise<User | undefined> {
  const { rows } = await client.query<UserRow>(
    `SELECT ${userColumns} FROM identity.user_account u WHERE u.tenant_id = $1 AND u.id = $2`,
    [tenantId, id],
  );
  return rows[0] && userFrom(rows[0]);
}

/** Undefined when the tenant has a user with this address. */
export async function insertUser(client: Client, user: NewUser): Promise<User | undefined> {
  const { rows } = await client.query<UserRow>(
    `INSERT INTO identity.user_account AS u (id, tenant_id, email, name, roles, password_hash)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, email) DO NOTHING RETURNING ${userColumns}`,
    [user.id, user.tenant_id, user.email, user.name, user.roles, user.password_hash],
  );
  return rows[0] && userFrom(rows[0]);
}

/**
 * Changes of a tenant's users come one after the other: two admins who demote each other at the same moment must
 * not both succeed.
 */
export async function lockTenant(client: Client, tenantId: string): Promise<void> {
  await client.query('SELECT FROM identity.tenant WHERE id = $1 FOR NO KEY UPDATE', [tenantId]);
}

export async function lockUser(
  client: Client,
  tenantId: string,
  id: string,
): Promise<(User & { password_hash: string }) | undefined> {
  const { rows } = await client.query<UserRow & { password_hash: string }>(
    `SELECT ${userColumns}, u.password_hash FROM identity.user_account u
     WHERE u.tenant_id = $1 AND u.id = $2 FOR NO KEY UPDATE`,
    [tenantId, id],
  );
  const [row] = rows;
  return row && { ...userFrom(row), password_hash: row.password_hash };
}

export async function hasOtherAdmin(client: Client, tenantId: string, id: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM identity.user_account
       WHERE tenant_id = $1 AND id <> $2 AND active AND 'admin' = ANY (roles)) AS found`,
    [tenantId, id],
  );
  return rows[0]?.found ?? false;
}

/**
 * Stores a change and what it means for tokens and sessions. `voided_at` is the moment before which tokens are
 * void; undefined when they stay good.
 */
export async function updateUser(
  client: Client,
  before: User,
  change: Omit<UserChange, 'password'> & { password_hash?: string },
  effects: ChangeEffects,
  reason: RevocationReason,
): Promise<{ user: User; voided_at?: Date }> {
  // One millisecond ahead, in which events are told: so a token of this very millisecond is older than the event.
  const { rows } = await client.query<UserRow & { tokens_void_before: Date }>(
    `UPDATE identity.user_account u SET name = $3, roles = $4, active = $5,
       password_hash = coalesce($6, password_hash), updated_at = clock_timestamp(),
       tokens_void_before = CASE WHEN $7 THEN date_trunc('milliseconds', clock_timestamp()) + interval '1 ms'
         ELSE tokens_void_before END
     WHERE tenant_id = $1 AND id = $2 RETURNING ${userColumns}, u.tokens_void_before`,
    [
      before.tenant_id,
      before.id,
      change.name === undefined ? before.name : change.name,
      change.roles ?? before.roles,
      change.active ?? before.active,
      change.password_hash ?? null,
      effects.voidsTokens,
    ],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('The locked user is gone');
  if (effects.endsSessions) {
    await client.query(
      `UPDATE identity.session SET revoked_at = clock_timestamp(), revoked_reason = $2
       WHERE user_id = $1 AND revoked_at IS NULL`,
      [before.id, reason],
    );
  }
  return { user: userFrom(row), ...(effects.voidsTokens ? { voided_at: row.tokens_void_before } : {}) };
}

/** Undefined when the slug is taken. Sets the transaction's tenant: a new tenant's row is in that tenant only. */
export async function insertTenant(
  client: Client,
  { id, slug, name }: Omit<Tenant, 'created_at'>,
): Promise<Tenant | undefined> {
  await setTenant(client, id);
  const { rows } = await client.query<TenantRow>(
    `INSERT INTO identity.tenant (id, slug, name) VALUES ($1, $2, $3) ON CONFLICT (slug) DO NOTHING
     RETURNING id, slug, name, created_at`,
    [id, slug, name],
  );
  return rows[0] && tenantFrom(rows[0]);
}

export async function isOperator(client: Client | Pool, userId: string, sessionId: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('SELECT identity.is_operator($1, $2) AS found', [
    userId,
    sessionId,
  ]);
  return rows[0]?.found ?? false;
}

/** One page of all tenants and a row more, by id, for an operator; nothing for anybody else. */
export async function listTenants(
  pool: Pool,
  { user_id, session_id }: { user_id: string; session_id: string },
  after: string | undefined,
  limit: number,
): Promise<Tenant[]> {
  const { rows } = await pool.query<TenantRow>('SELECT * FROM identity.list_tenants($1, $2, $3, $4)', [
    user_id,
    session_id,
    after ?? null,
    limit + 1,
  ]);
  return rows.map(tenantFrom);
}
