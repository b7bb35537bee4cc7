/** For tests: instances of this service on real parts, and callers of a tenant of their own. */
import { randomUUID } from 'node:crypto';
import { createPool, type Pool } from '@ragline/postgres/pool';
import { createHealth } from '@ragline/runtime/health';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { type Http, type HttpRequest, httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import type { startTokens } from '../../../tests/support/tokens.ts';
import type { Backlog } from './backlog.ts';
import { buildApp } from './build.ts';
import { connectSharedCache, type SharedCache } from './shared-cache.ts';

export const testLog = createLogger({ service: 'orders', level: 'error' });
export const openBacklog: Backlog = { requireRoom: () => {}, stop: () => {} };

export type Tokens = Awaited<ReturnType<typeof startTokens>>;
export type Instance = Awaited<ReturnType<typeof startInstance>>;
export type Caller = ReturnType<typeof callerOf>;

export type InstanceOptions = {
  tokens: Tokens;
  /** Taken as it is; `none` runs without Redis. */
  shared?: SharedCache | 'none';
  backlog?: Backlog;
  position?: () => string | undefined;
  onPool?: (pool: Pool) => void;
};

/** The whole service but its process: HTTP on a free port, the plain role, the real registry and Redis. */
export async function startInstance({ tokens, shared, backlog, position, onPool }: InstanceOptions) {
  const { databaseUrlOf, registryUrl, redisUrl } = stack();
  const metrics = createMetrics({ service: 'orders' });
  const url = databaseUrlOf('ragline_orders');
  const pool = createPool({ url, max: 16, applicationName: 'orders-test', log: testLog, metrics });
  onPool?.(pool);
  const own =
    shared === undefined && redisUrl !== undefined
      ? connectSharedCache({ url: redisUrl, log: testLog, metrics })
      : undefined;
  await own?.connected();
  const app = await buildApp({
    pool,
    codec: createCodec({ registryUrl }),
    shared: shared === 'none' ? undefined : (shared ?? own),
    authentication: createAuthentication({ ...tokens.settings }),
    backlog: backlog ?? openBacklog,
    position: position ?? (() => undefined),
    quoteSecret: 'a secret of thirty-two characters or more',
    log: testLog,
    metrics,
    health: createHealth(),
  });
  const server = await startServer({ handler: app, port: 0, host: '127.0.0.1', log: testLog });
  const origin = `http://127.0.0.1:${server.port}`;
  return {
    origin,
    http: httpTo(origin),
    pool,
    metrics,
    async stop() {
      await server.close();
      own?.stop();
      await pool.end();
    },
  };
}

/** As the owner of the database, whom no policy holds: to look at what there is. */
export function ownerPool(): Pool {
  const metrics = createMetrics({ service: 'test' });
  return createPool({
    url: stack().databaseUrl,
    max: 2,
    applicationName: 'orders-test-owner',
    log: testLog,
    metrics,
  });
}

/** Somebody of a tenant; tenant and user are new ones unless named. */
export async function makeCaller(
  tokens: Tokens,
  { http }: { http: Http },
  who: { tenant_id?: string; user_id?: string; roles?: string[] } = {},
) {
  const { tenant_id = randomUUID(), user_id = randomUUID(), roles = ['customer'] } = who;
  return callerOf(http, await tokens.token({ tenant_id, user_id, roles }), { tenant_id, user_id, roles });
}

function callerOf(http: Http, token: string, who: { tenant_id: string; user_id: string; roles: string[] }) {
  const call = (method: string, path: string, request: HttpRequest = {}) =>
    http(method, path, { token, ...request });
  return {
    ...who,
    token,
    call,
    /** The same caller at another instance. */
    at: (instance: { http: Http }) => callerOf(instance.http, token, who),
    get: (path: string, headers: Record<string, string> = {}) => call('GET', path, { headers }),
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      call('POST', path, { body, headers }),
    patch: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      call('PATCH', path, { body, headers }),
    order: (body: unknown, key: string = randomUUID()) =>
      call('POST', '/v1/orders', { body, headers: { 'idempotency-key': key } }),
  };
}

/** A product that can be ordered, made by staff. */
export async function makeProduct(staff: Caller, fields: Record<string, unknown> = {}) {
  const { status, body, text } = await staff.post('/v1/products', {
    name: 'Pizza Margherita',
    price: 950,
    currency: 'EUR',
    ...fields,
  });
  if (status !== 201) throw new Error(`The product was not made: ${status} ${text}`);
  return body;
}
