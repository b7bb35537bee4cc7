/** The sample tenants and users of a development stack. Their ids are fixed, so that seeding again finds them. */
import type { Role } from '@ragline/web/principal';

export type DemoUser = {
  id: string;
  email: string;
  name: string;
  roles: Role[];
  password: 'demo' | 'sentinel';
};
export type DemoTenant = { id: string; slug: string; name: string; users: DemoUser[] };

// UUIDv7s of one moment; the last digits count.
const id = (number: number): string => `019a0000-0000-7000-8000-${String(number).padStart(12, '0')}`;

export const demoTenants: readonly DemoTenant[] = [
  { id: id(1), slug: 'demo', name: 'Trattoria Demo', users: shopUsers('demo', 10) },
  { id: id(2), slug: 'acme', name: 'Acme Burgers', users: shopUsers('acme', 20) },
  {
    id: id(3),
    slug: 'ragline',
    name: 'RAGline operators',
    users: [
      {
        id: id(31),
        email: 'operator@ragline.example',
        name: 'Olga Operator',
        roles: ['operator'],
        password: 'demo',
      },
    ],
  },
  {
    id: id(4),
    slug: 'sentinel',
    name: 'Sentinel',
    users: [
      {
        id: id(41),
        email: 'customer@sentinel.example',
        name: 'Sentinel',
        roles: ['customer'],
        password: 'sentinel',
      },
      {
        id: id(42),
        email: 'staff@sentinel.example',
        name: 'Sentinel',
        roles: ['staff'],
        password: 'sentinel',
      },
    ],
  },
];

function shopUsers(slug: string, from: number): DemoUser[] {
  const user = (number: number, role: Role, name: string): DemoUser => ({
    id: id(from + number),
    email: `${role}@${slug}.example`,
    name,
    roles: [role],
    password: 'demo',
  });
  return [
    user(1, 'customer', 'Carla Customer'),
    user(2, 'staff', 'Sam Staff'),
    user(3, 'admin', 'Ada Admin'),
  ];
}
