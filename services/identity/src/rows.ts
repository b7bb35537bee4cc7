/** How rows of identity look outside: times as RFC 3339, the password's hash never. */
import type { Role } from '@ragline/web/principal';
import type { Tenant, User } from './domain.ts';

export type UserRow = {
  id: string;
  tenant_id: string;
  email: string;
  name: string | null;
  roles: Role[];
  active: boolean;
  created_at: Date;
  updated_at: Date;
};

/** The columns of a UserRow, of the table under the alias u. */
export const userColumns =
  'u.id, u.tenant_id, u.email, u.name, u.roles, u.active, u.created_at, u.updated_at';

/**
 * The iat of a token issued now, of a user under the alias u.
 *
 * iat has whole seconds: rounded down, a token would look older than a revocation earlier in the same second, and
 * be void from the start.
 */
export const issuedAtColumn = `greatest(floor(extract(epoch FROM clock_timestamp())),
  ceil(extract(epoch FROM u.tokens_void_before)))::float8 AS issued_at`;

export function userFrom({
  id,
  tenant_id,
  email,
  name,
  roles,
  active,
  created_at,
  updated_at,
}: UserRow): User {
  return {
    id,
    tenant_id,
    email,
    name,
    roles,
    active,
    created_at: created_at.toISOString(),
    updated_at: updated_at.toISOString(),
  };
}

export type TenantRow = { id: string; slug: string; name: string; created_at: Date };

export function tenantFrom({ id, slug, name, created_at }: TenantRow): Tenant {
  return { id, slug, name, created_at: created_at.toISOString() };
}
