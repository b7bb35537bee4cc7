/** Who is calling, and what the role allows. */

export const roles = ['customer', 'staff', 'admin', 'operator'] as const;
export type Role = (typeof roles)[number];

export type Principal = {
  user_id: string;
  tenant_id: string;
  roles: Role[];
  session_id: string;
  token_id: string;
  /** The key that signed the token (kid); absent where none was verified. */
  key_id?: string;
  /** When the token was made, in ms since 1970. */
  issued_at: number;
  /** When it ends, in ms since 1970. */
  expires_at: number;
};

const ranks: Record<Exclude<Role, 'operator'>, number> = { customer: 1, staff: 2, admin: 3 };

/** Within a tenant customer < staff < admin; operator stands apart and gives no tenant's rights. */
export function hasRole(principal: Pick<Principal, 'roles'>, role: Role): boolean {
  if (role === 'operator') return principal.roles.includes('operator');
  return principal.roles.some((held) => held !== 'operator' && ranks[held] >= ranks[role]);
}
