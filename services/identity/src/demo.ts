/** The sample tenants and users of a development stack. The tenants' ids are fixed, so that seeding again finds them. */
import type { Role } from '@ragline/web/principal';
import type { TenantDraft, UserDraft } from './provision.ts';

// UUIDv7s of one moment; the last digits count.
const id = (number: number): string => `019a0000-0000-7000-8000-${String(number).padStart(12, '0')}`;

export type Passwords = { demo: string; sentinel: string };

/** Two shops, and the operators' tenant with its first member. */
export function sampleTenants({ demo }: Pick<Passwords, 'demo'>): TenantDraft[] {
  return [
    { id: id(1), slug: 'demo', name: 'Trattoria Demo', users: shopUsers('demo', 10, demo) },
    { id: id(2), slug: 'acme', name: 'Acme Burgers', users: shopUsers('acme', 20, demo) },
    operators({ id: id(31), email: 'operator@ragline.example', name: 'Olga Operator', password: demo }),
  ];
}

/** The tenant of the order that is placed every few seconds to prove that orders arrive. */
export function sentinelTenant({ sentinel: password }: Pick<Passwords, 'sentinel'>): TenantDraft {
  const user = (number: number, role: Role): UserDraft => ({
    id: id(number),
    email: `${role}@sentinel.example`,
    name: 'Sentinel',
    roles: [role],
    password,
  });
  return { id: id(4), slug: 'sentinel', name: 'Sentinel', users: [user(41, 'customer'), user(42, 'staff')] };
}

/** The tenant ragline with one operator. */
export function operators(first: Omit<UserDraft, 'roles'>): TenantDraft {
  return {
    id: id(3),
    slug: 'ragline',
    name: 'RAGline operators',
    users: [{ ...first, roles: ['operator'] }],
  };
}

function shopUsers(slug: string, from: number, password: string): UserDraft[] {
  const user = (number: number, role: Role, name: string): UserDraft => ({
    id: id(from + number),
    email: `${role}@${slug}.example`,
    name,
    roles: [role],
    password,
  });
  return [
    user(1, 'customer', 'Carla Customer'),
    user(2, 'staff', 'Sam Staff'),
    user(3, 'admin', 'Ada Admin'),
  ];
}

/** Sign-ins that a system in production must not have: everybody can read their names in this repository. */
export const sampleLogins: readonly { tenant: string; email: string }[] = sampleTenants({ demo: '' }).flatMap(
  ({ slug, users }) => users.map(({ email }) => ({ tenant: slug, email })),
);
