/** Who reads notifications: what of a caller decides which he may see. */
import { hasRole, type Principal } from '@ragline/web/auth';

export type Reader = { tenant_id: string; user_id: string; is_staff: boolean };

export function readerOf(principal: Principal): Reader {
  const { tenant_id, user_id } = principal;
  return { tenant_id, user_id, is_staff: hasRole(principal, 'staff') };
}
