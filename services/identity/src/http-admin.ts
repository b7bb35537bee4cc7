/** Users (an admin's, in the own tenant) and tenants (an operator's) over REST. */
import { createHmac, randomUUIDv7 } from 'node:crypto';
import { type Client, type Pool, setTenant } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { idempotencyKey, text, uuid } from '@ragline/web/fields';
import { hashRequest, type IdempotencyStore, idempotent } from '@ragline/web/idempotency';
import { decodePageCursor, pageOf, pageQuery, toPage } from '@ragline/web/pages';
import type { Principal } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import type { Tenant } from './domain.ts';
import { roleShape, tenantShape, userShape } from './shapes.ts';
import type { Turns } from './turns.ts';
import { insertTenant, isOperator, listTenants } from './user-store.ts';
import { insertPrepared, prepareUser, type Users } from './users.ts';

export type AdminRoutesParts = {
  api: Api;
  users: Users;
  pool: Pool;
  turns: Turns;
  idempotency: IdempotencyStore<Client>;
  /** Keys the hash by which a repeated request is recognised; see requestHash. */
  secret: string;
};

const email = z.email().max(254).meta({ example: 'cook@demo.example' });
const password = text(1_024, 1).meta({
  description: '12 to 256 characters, none of the best known passwords.',
  example: 'saffron-umbrella-37',
});
const name = text(200, 1).nullable().meta({ example: 'Kim' });
const heldRoles = z.array(roleShape).min(1).max(4);
const headers = z.object({ 'idempotency-key': idempotencyKey.optional() });
const newUser = z.strictObject({
  email,
  password,
  name: name.optional(),
  roles: heldRoles.default(['customer']),
});
const slug = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be 1 to 63 of a-z, 0-9 and -, not beginning or ending with -',
  )
  .meta({ example: 'bistro' });
const userId = z.object({ id: uuid.meta({ description: 'Of the user.' }) });
const cursorShape = z.tuple([z.uuid()]);

export function addAdminRoutes(parts: AdminRoutesParts): void {
  addUserRoutes(parts);
  addTenantRoutes(parts);
}

function addUserRoutes({ api, users, idempotency, secret }: AdminRoutesParts): void {
  const tags = ['Users'];

  api.route(
    {
      method: 'get',
      path: '/v1/users',
      summary: 'List the users of the own tenant',
      tags,
      auth: 'admin',
      query: z.object(pageQuery),
      responses: { 200: pageOf(userShape) },
    },
    async ({ principal, query: { limit, cursor } }) => {
      const [after] = decodePageCursor(cursor, cursorShape) ?? [];
      const rows = await users.list(principal, after, limit);
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/users/{id}',
      summary: 'Read a user',
      tags,
      auth: 'admin',
      params: userId,
      responses: { 200: userShape },
    },
    async ({ principal, params }) => ({ status: 200, body: await users.get(principal, params.id) }),
  );

  api.route(
    {
      method: 'post',
      path: '/v1/users',
      summary: 'Create a user',
      tags,
      auth: 'admin',
      headers,
      body: newUser,
      problems: ['conflict'],
      responses: {
        201: {
          schema: userShape,
          headers: { location: 'Path of the user.' },
          links: { user: { to: 'GET /v1/users/{id}', parameters: { id: '$response.body#/id' } } },
        },
      },
    },
    async ({ principal, body, headers: { 'idempotency-key': key } }) => {
      const draft = await users.draft(body);
      const hash = requestHash(secret, '/v1/users', body, body.password);
      return idempotent({ store: idempotency, principal, key, requestHash: hash }, async (client) => {
        const user = await users.create(client, principal, draft);
        return { status: 201, body: user, headers: { location: `/v1/users/${user.id}` } };
      });
    },
  );

  api.route(
    {
      method: 'patch',
      path: '/v1/users/{id}',
      summary: 'Change a user',
      description:
        'Deactivating a user or setting a password ends all sessions of the user; taking a role away voids the tokens that carry it.',
      tags,
      auth: 'admin',
      params: userId,
      body: z.strictObject({
        name: name.optional(),
        roles: heldRoles.optional(),
        active: z.boolean().optional(),
        password: password.optional(),
      }),
      problems: ['conflict'],
      responses: { 200: userShape },
    },
    async ({ principal, params, body }) => ({
      status: 200,
      body: await users.change(principal, params.id, body),
    }),
  );
}

function addTenantRoutes({ api, pool, turns, idempotency, secret }: AdminRoutesParts): void {
  const tags = ['Tenants'];

  api.route(
    {
      method: 'get',
      path: '/v1/tenants',
      summary: 'List all tenants',
      tags,
      auth: 'operator',
      query: z.object(pageQuery),
      responses: { 200: pageOf(tenantShape) },
    },
    async ({ principal, query: { limit, cursor } }) => {
      await assertOperator(pool, principal);
      const [after] = decodePageCursor(cursor, cursorShape) ?? [];
      const rows = await listTenants(pool, principal, after, limit);
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/tenants',
      summary: 'Create a tenant',
      description:
        'With `admin`, its first user is created with it; further users are that admin’s business.',
      tags,
      auth: 'operator',
      headers,
      body: z.strictObject({
        slug,
        name: text(200, 1).meta({ example: 'Bistro am Markt' }),
        admin: z.strictObject({ email, password, name: name.optional() }).optional(),
      }),
      problems: ['conflict'],
      responses: { 201: { schema: tenantShape } },
    },
    async ({ principal, body, headers: { 'idempotency-key': key } }) => {
      await assertOperator(pool, principal);
      const { slug: newSlug, name: newName, admin } = body;
      const draft = admin && (await prepareUser({ ...admin, roles: ['admin'] }, turns, 'admin.password'));
      const hash = requestHash(secret, '/v1/tenants', body, admin?.password ?? '');
      return idempotent({ store: idempotency, principal, key, requestHash: hash }, async (client) => {
        const tenant = created(
          await insertTenant(client, { id: randomUUIDv7(), slug: newSlug, name: newName }),
        );
        if (draft !== undefined) await insertPrepared(client, tenant.id, draft);
        // What follows in this transaction, the kept answer, is the operator's again.
        await setTenant(client, principal.tenant_id);
        return { status: 201, body: tenant };
      });
    },
  );
}

async function assertOperator(pool: Pool, { user_id, session_id }: Principal): Promise<void> {
  if (!(await isOperator(pool, user_id, session_id)))
    throw problem('unauthenticated', 'This session has ended.');
}

function created(tenant: Tenant | undefined): Tenant {
  if (tenant === undefined) throw problem('conflict', 'There is a tenant with that slug.');
  return tenant;
}

/**
 * Recognises the same request again. The hash is kept for a day, and a plain one of a body with a password in it
 * could be used to guess that password; so the password goes in keyed.
 */
function requestHash(secret: string, path: string, body: object, bodyPassword: string): string {
  const keyed = createHmac('sha256', secret).update(`idempotent request\n${bodyPassword}`).digest('hex');
  const withoutPassword = JSON.parse(JSON.stringify(body), (key, value) =>
    key === 'password' ? keyed : value,
  );
  return hashRequest('POST', path, withoutPassword);
}
