/** The shapes that identity answers with, for OpenAPI. */
import { roles } from '@ragline/web/principal';
import { z } from 'zod';

export const roleShape = z.enum(roles);

const times = { created_at: '2026-11-01T08:00:00.000Z', updated_at: '2026-11-01T08:00:00.000Z' };
const user = {
  id: '0199c0de-0000-7000-8000-000000000002',
  tenant_id: '0199c0de-0000-7000-8000-000000000001',
  email: 'customer@demo.example',
  name: 'Kim',
  roles: ['customer'],
  active: true,
  ...times,
};

export const userShape = z
  .object({
    id: z.uuid(),
    tenant_id: z.uuid(),
    email: z.string(),
    name: z.string().nullable(),
    roles: z.array(roleShape),
    active: z.boolean(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'User', examples: [user] });

export const tenantShape = z
  .object({ id: z.uuid(), slug: z.string(), name: z.string(), created_at: z.iso.datetime() })
  .meta({
    id: 'Tenant',
    examples: [{ id: user.tenant_id, slug: 'demo', name: 'Demo', created_at: times.created_at }],
  });

export const tokenPairShape = z
  .object({
    access_token: z.string().meta({ description: 'A JWT, good for 15 min.' }),
    token_type: z.literal('Bearer'),
    expires_in: z.int().meta({ description: 'Seconds.' }),
    refresh_token: z.string(),
    user: userShape,
  })
  .meta({
    id: 'TokenPair',
    examples: [
      {
        access_token: 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln',
        token_type: 'Bearer',
        expires_in: 900,
        refresh_token: 'rt_9f2c1b7a5d3e',
        user,
      },
    ],
  });
export const meShape = userShape
  .extend({ tenant: z.string().meta({ description: 'The slug of the tenant.' }) })
  .meta({ examples: [{ ...user, tenant: 'demo' }] });
