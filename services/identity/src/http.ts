/** The REST interface of identity: signing in, sessions, keys. Users and tenants are in http-admin.ts. */

import type { Api } from '@ragline/web/api';
import { type Authentication, bearerFrom } from '@ragline/web/auth';
import { text } from '@ragline/web/fields';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { networkOf } from './client-network.ts';
import type { Delegation } from './delegation.ts';
import type { KeyRing } from './key-ring.ts';
import { meShape, tokenPairShape } from './shapes.ts';
import type { SignIn } from './sign-in.ts';

export type AuthRoutesParts = {
  api: Api;
  authentication: Authentication;
  signIn: SignIn;
  keys: KeyRing;
  /** How long verifiers may keep the key set; well below the lead of a new key. */
  jwksMaxAgeSeconds: number;
};

const tags = ['Identity'];
const secretField = text(512, 1).meta({ example: 'rt_9f2c1b7a5d3e' });

export function addAuthRoutes({
  api,
  authentication,
  signIn,
  keys,
  jwksMaxAgeSeconds,
}: AuthRoutesParts): void {
  api.route(
    {
      method: 'post',
      path: '/v1/auth/login',
      summary: 'Sign in',
      description:
        'Opens a session. Whatever is wrong (tenant, address, password, a user who is not active), the answer is the same 401.',
      tags,
      auth: 'none',
      body: z.strictObject({
        tenant: text(63, 1).meta({ description: 'The slug of the tenant.', example: 'demo' }),
        email: text(254, 1).meta({ example: 'staff@demo.example' }),
        password: text(1_024, 1).meta({ example: 'printed at the first start' }),
      }),
      problems: ['unauthenticated'],
      responses: {
        200: {
          schema: tokenPairShape,
          links: {
            refresh: {
              to: 'POST /v1/auth/refresh',
              description: 'With `refresh_token`, before the token ends.',
            },
            me: { to: 'GET /v1/auth/me' },
          },
        },
      },
      maxBodyBytes: 16_384,
    },
    async ({ body, req }) => ({ status: 200, body: await signIn.login(body, networkOf(req.ip)) }),
  );

  api.route(
    {
      method: 'post',
      path: '/v1/auth/refresh',
      summary: 'Exchange a refresh token',
      description:
        'Every use gives a new refresh token. For 10 s, while the new one is unused, the same token gives the same new one again; any later use ends the session and closes its sockets.',
      tags,
      auth: 'none',
      body: z.strictObject({ refresh_token: secretField }),
      problems: ['unauthenticated'],
      responses: { 200: tokenPairShape },
      maxBodyBytes: 16_384,
    },
    async ({ body }) => ({ status: 200, body: await signIn.refresh(body.refresh_token) }),
  );

  api.route(
    {
      method: 'post',
      path: '/v1/auth/logout',
      summary: 'End a session',
      description: 'The session of the refresh token in the body, or else that of the access token.',
      tags,
      auth: 'none',
      credentials: ['bearer'],
      body: z.strictObject({ refresh_token: secretField.optional() }).optional(),
      responses: { 204: null },
      maxBodyBytes: 16_384,
    },
    async ({ body, req }) => {
      if (body?.refresh_token !== undefined) {
        await signIn.logoutByRefreshToken(body.refresh_token);
        return { status: 204 };
      }
      const token = bearerFrom(req.headers.authorization);
      if (token === undefined) throw problem('unauthenticated', 'Send the access token or a refresh_token.');
      await signIn.logout(await authentication.verify(token));
      return { status: 204 };
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/auth/me',
      summary: 'Who is signed in',
      tags,
      auth: ['customer', 'operator'],
      responses: {
        200: meShape,
      },
    },
    async ({ principal }) => ({ status: 200, body: await signIn.me(principal) }),
  );

  api.route(
    {
      method: 'post',
      path: '/v1/auth/tickets',
      summary: 'Get a ticket for a socket or an event stream',
      description: 'Good for one use within 30 s, as `?ticket=…`, where no header can be set.',
      tags,
      auth: ['customer', 'operator'],
      responses: {
        200: z
          .object({ ticket: z.string(), expires_in: z.int().meta({ description: 'Seconds.' }) })
          .meta({ id: 'Ticket', examples: [{ ticket: 'tk_5d3e9f2c1b7a', expires_in: 30 }] }),
      },
    },
    async ({ principal }) => ({ status: 200, body: await signIn.ticket(principal) }),
  );

  api.route(
    {
      method: 'get',
      path: '/.well-known/jwks.json',
      summary: 'The public keys of access tokens',
      tags,
      auth: 'none',
      responses: { 200: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) },
    },
    async () => ({
      status: 200,
      body: keys.publicKeys(),
      headers: { 'cache-control': `public, max-age=${jwksMaxAgeSeconds}` },
    }),
  );
}

/** For services on the inside; the gateway forwards no /internal path, and the ticket, or the secret, is the credential. */
export function addInternalRoutes({
  api,
  signIn,
  delegation,
}: Pick<AuthRoutesParts, 'api' | 'signIn'> & { delegation: Delegation | undefined }): void {
  api.route(
    {
      method: 'post',
      path: '/internal/tickets/redeem',
      summary: 'Exchange a ticket for an access token',
      tags: ['Internal'],
      auth: 'none',
      body: z.strictObject({ ticket: secretField }),
      responses: { 200: z.object({ access_token: z.string() }) },
      maxBodyBytes: 16_384,
    },
    async ({ body }) => ({ status: 200, body: await signIn.redeem(body.ticket) }),
  );

  if (delegation === undefined) return;
  api.route(
    {
      method: 'post',
      path: '/internal/v1/delegated-tokens',
      summary: 'Get a token by which the assistant acts for a user',
      description: 'With `Authorization: Bearer <DELEGATION_SECRET>`. 403 for a user who is not active.',
      tags: ['Internal'],
      auth: 'none',
      body: z.strictObject({ tenant_id: z.uuid(), user_id: z.uuid() }),
      responses: { 200: z.object({ access_token: z.string(), expires_in: z.int() }) },
      maxBodyBytes: 16_384,
    },
    async ({ body, req }) => ({
      status: 200,
      body: await delegation.tokenFor(req.headers.authorization, body),
      headers: { 'cache-control': 'no-store' },
    }),
  );
}
