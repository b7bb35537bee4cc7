/** The shapes that identity answers with, for OpenAPI. */
import { roles } from '@ragline/web/principal';
import { z } from 'zod';

export const roleShape = z.enum(roles);

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
  .meta({ id: 'User' });

export const tenantShape = z
  .object({ id: z.uuid(), slug: z.string(), name: z.string(), created_at: z.iso.datetime() })
  .meta({ id: 'Tenant' });

export const tokenPairShape = z
  .object({
    access_token: z.string().meta({ description: 'A JWT, good for 15 min.' }),
    token_type: z.literal('Bearer'),
    expires_in: z.int().meta({ description: 'Seconds.' }),
    refresh_token: z.string(),
    user: userShape,
  })
  .meta({ id: 'TokenPair' });
