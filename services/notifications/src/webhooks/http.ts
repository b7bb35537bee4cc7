/** REST of webhooks, for admins of a tenant. */
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import type { Answer, Api } from '@ragline/web/api';
import type { Principal } from '@ragline/web/auth';
import { idempotencyKey, uuid } from '@ragline/web/fields';
import { hashRequest, idempotent } from '@ragline/web/idempotency';
import { decodePageCursor, pageOf, pageQuery, toPage } from '@ragline/web/pages';
import { type Problem, problem } from '@ragline/web/problems';
import { z } from 'zod';
import { type AddressRules, namesLoopback } from './addresses.ts';
import {
  addEndpoint,
  addSecret,
  changeEndpoint,
  countEndpoints,
  findEndpoint,
  listEndpoints,
  openSecret,
  removeEndpoint,
  type SealedSecret,
} from './endpoint-store.ts';
import type { SecretKeys } from './keys.ts';
import { checkTarget, type Resolve } from './resolve.ts';
import * as shapes from './shapes.ts';

export type EndpointRoutesOptions = {
  api: Api;
  pool: Pool;
  idempotency: IdempotencyStore;
  keys: SecretKeys;
  rules: AddressRules;
  resolve: Resolve;
  endpointsMax: number;
  /** Whether who asks for this machine's own address is told of the setting that allows it. */
  isProduction: boolean;
  overlapMs: number;
  /** Called when deliveries may have become due. */
  wake: () => void;
};

export const tags = ['webhooks'];
export const keyHeader = z.object({
  'idempotency-key': idempotencyKey.optional().meta({ description: 'Makes a repetition harmless.' }),
});

export function addEndpointRoutes(options: EndpointRoutesOptions): void {
  const { api, pool, endpointsMax, overlapMs, wake } = options;
  const readAnswer = answering(options);

  api.route(
    {
      method: 'get',
      path: '/v1/webhooks',
      summary: "Your tenant's webhooks, newest first",
      tags,
      auth: 'admin',
      query: z.object({ ...pageQuery }),
      responses: { 200: pageOf(shapes.webhook) },
    },
    async ({ query: { limit, cursor }, principal: { tenant_id } }) => {
      const [before] = decodePageCursor(cursor, z.tuple([uuid])) ?? [];
      const rows = await inTenant(pool, tenant_id, (client) =>
        listEndpoints(client, tenant_id, { before, limit }),
      );
      return { status: 200, body: toPage(rows, limit, ({ id }) => [id]) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/webhooks',
      summary: 'Have events posted to a URL',
      description:
        'The answer has the secret that signs them, this once. Signed by the Standard Webhooks specification: verify `webhook-id`, `webhook-timestamp` and `webhook-signature` with any of its libraries. Delivered at least once, in no order: `webhook-id` tells doubles, `data.order.version` what is newer. An address that is not called is 422 `url_refused` with its `reason`; more webhooks than a tenant may have are 409 `conflict`.',
      tags,
      auth: 'admin',
      problems: ['conflict', 'url_refused', 'unavailable', 'idempotency_key_reused', 'request_in_progress'],
      headers: keyHeader,
      body: shapes.newWebhook,
      responses: {
        201: {
          schema: shapes.createdWebhook,
          headers: { Location: 'Where it is.' },
          links: {
            deliveries: { to: 'GET /v1/webhooks/{id}/deliveries', parameters: { id: '$response.body#/id' } },
          },
        },
      },
    },
    async ({ body, headers, principal }) => {
      // Thrown only where this is the first of its key: a repetition gets the first answer, whatever DNS says by now.
      const refusal = await refusalOf(body.url, options);
      return readAnswer(
        principal,
        headers['idempotency-key'],
        ['POST', '/v1/webhooks', body],
        async (client) => {
          if (refusal !== undefined) throw refusal;
          const { tenant_id } = principal;
          if ((await countEndpoints(client, tenant_id)) >= endpointsMax) {
            throw problem('conflict', `A tenant has ${endpointsMax} webhooks at most.`);
          }
          const endpoint = await addEndpoint(client, principal, body);
          const owner = { tenant_id, webhook_id: endpoint.id };
          const sealed = await addSecret(client, options.keys, owner, 0);
          const location = `/v1/webhooks/${endpoint.id}`;
          return { status: 201, headers: { location }, body: { ...endpoint, secret: sealed } };
        },
      );
    },
  );

  api.route(
    {
      method: 'get',
      path: '/v1/webhooks/{id}',
      summary: 'One webhook',
      tags,
      auth: 'admin',
      params: shapes.webhookId,
      responses: { 200: shapes.webhook },
    },
    async ({ params: { id }, principal: { tenant_id } }) => {
      const found = await inTenant(pool, tenant_id, (client) => findEndpoint(client, tenant_id, id));
      if (found === undefined) throw problem('not_found');
      return { status: 200, body: found };
    },
  );

  api.route(
    {
      method: 'patch',
      path: '/v1/webhooks/{id}',
      summary: 'Change a webhook, pause it, or go on after it was disabled',
      description:
        '`active: true` clears `disabled_reason`; what waited meanwhile is then sent. What happens while it is not active is not sent later.',
      tags,
      auth: 'admin',
      problems: ['url_refused', 'unavailable'],
      params: shapes.webhookId,
      body: shapes.webhookChange,
      responses: { 200: shapes.webhook },
    },
    async ({ params: { id }, body, principal: { tenant_id } }) => {
      const refusal = body.url === undefined ? undefined : await refusalOf(body.url, options);
      if (refusal !== undefined) throw refusal;
      const { url, event_types, description, active } = body;
      const changed = await inTenant(pool, tenant_id, (client) =>
        changeEndpoint(client, tenant_id, id, {
          ...(url === undefined ? {} : { url }),
          ...(event_types === undefined ? {} : { event_types }),
          ...(description === undefined ? {} : { description }),
          ...(active === undefined ? {} : { active }),
        }),
      );
      if (changed === undefined) throw problem('not_found');
      wake();
      return { status: 200, body: changed };
    },
  );

  api.route(
    {
      method: 'delete',
      path: '/v1/webhooks/{id}',
      summary: 'Remove a webhook and its deliveries',
      tags,
      auth: 'admin',
      params: shapes.webhookId,
      responses: { 204: null },
    },
    async ({ params: { id }, principal: { tenant_id } }) => {
      const removed = await inTenant(pool, tenant_id, (client) => removeEndpoint(client, tenant_id, id));
      if (!removed) throw problem('not_found');
      return { status: 204 };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/webhooks/{id}/rotate-secret',
      summary: 'Make a new secret',
      description:
        'The answer has it, this once. The one before signs as well for the overlap, a day when none is named.',
      tags,
      auth: 'admin',
      problems: ['idempotency_key_reused', 'request_in_progress'],
      headers: keyHeader,
      params: shapes.webhookId,
      body: shapes.rotation,
      responses: { 200: shapes.rotated },
    },
    async ({ params: { id }, body, headers, principal }) => {
      const { tenant_id } = principal;
      const overlap = body?.overlap_s === undefined ? overlapMs : body.overlap_s * 1_000;
      const path = `/v1/webhooks/${id}/rotate-secret`;
      return readAnswer(principal, headers['idempotency-key'], ['POST', path, body], async (client) => {
        if ((await findEndpoint(client, tenant_id, id)) === undefined) throw problem('not_found');
        const secret = await addSecret(client, options.keys, { tenant_id, webhook_id: id }, overlap);
        return { status: 200, body: { id, secret } };
      });
    },
  );
}

const sealedBody = z.looseObject({
  id: z.string(),
  secret: z.object({ id: z.string(), sealed: z.string() }),
});

/**
 * Once per key, with the secret opened on its way out: what is kept for a repetition of the request has it sealed, as the
 * table of secrets has.
 */
function answering({ idempotency: store, keys }: EndpointRoutesOptions) {
  return async (
    principal: Principal,
    key: string | undefined,
    request: Parameters<typeof hashRequest>,
    run: (client: Client) => Promise<Answer & { body: { id: string; secret: SealedSecret } }>,
  ): Promise<Answer> => {
    const requestHash = hashRequest(...request);
    const answer = await idempotent({ store, principal, key, requestHash }, run);
    const { secret, ...body } = sealedBody.parse(answer.body);
    return { ...answer, body: { ...body, secret: openSecret(keys, body.id, secret) } };
  };
}

/** Problem `url_refused` for what is not called, `unavailable` where DNS cannot be asked; judged again at each connection. */
async function refusalOf(
  url: string,
  { rules, resolve, isProduction }: Pick<EndpointRoutesOptions, 'rules' | 'resolve' | 'isProduction'>,
): Promise<Problem | undefined> {
  const target = await checkTarget(url, rules, resolve);
  if (typeof target !== 'string') return undefined;
  if (target === 'dns_failed') {
    return problem('unavailable', 'The name cannot be looked up at the moment.', {
      headers: { 'retry-after': '5' },
    });
  }
  const isOwn = !isProduction && !rules.allowLoopback && namesLoopback(url);
  const message = isOwn ? `${refusals[target]} ${howToTry}` : refusals[target];
  return problem('url_refused', message, {
    errors: [{ path: 'url', message }],
    members: { reason: target },
  });
}

const howToTry = 'To try it on your own machine: WEBHOOK_ALLOW_LOOPBACK=on npm start.';

const refusals = {
  malformed: 'This is not an absolute URL.',
  scheme_not_allowed: 'Webhooks are sent over https alone.',
  credentials_in_url: 'A URL with a login in it is not called: what is sent is signed.',
  fragment_in_url: 'What follows # is never sent: leave it out.',
  port_not_allowed: 'The port must be 443, or 1024 or above.',
  address_not_public: 'This name or address is not one that everybody can reach.',
  name_unresolved: 'This name has no address.',
} as const;
