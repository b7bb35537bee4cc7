/** For tests: preferences over REST on a database of their own, and digests whose time is made to come. */
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, inTransaction } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import request from 'supertest';
import { eventually } from '../../../../tests/support/eventually.ts';
import { stack } from '../../../../tests/support/stack.ts';
import { startTokens } from '../../../../tests/support/tokens.ts';
import { notificationsFor } from '../domain.ts';
import { memoized } from '../memoized.ts';
import { notificationStore } from '../store.ts';
import { addPreferenceRoutes } from './http.ts';
import { sampleOf } from './settled.ts';
import { preferenceStore } from './store.ts';
import { tellDue } from './windows.ts';

export type Scene = Awaited<ReturnType<typeof openScene>>;

export const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
export const inDigest = { live: 'digest' } as const;

const path = '/v1/notification-preferences';

export async function openScene() {
  const database = await scratchDatabase();
  const pool = poolOf('ragline_notifications', 6, database.name);
  const tokens = await startTokens();
  const codec = createCodec({ registryUrl: stack().registryUrl });
  const encoder = memoized(() => codec.encoder('notification_v1'));
  const encode = await encoder();
  const store = notificationStore(pool, encoder);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const api = createApi({ title: 'test', authentication: createAuthentication(tokens.settings) });
  addPreferenceRoutes({ api, store: preferenceStore(pool, encoder), onChanged: () => {} });
  const metrics = createMetrics({ service: 'test' });
  const { app } = createApp({ service: 'test', log, metrics, health: createHealth(), api });

  async function keepOrder(tenant_id: string, user_id: string): Promise<void> {
    const keep = await store.keeper();
    // Staff see what came after their account was made, and ids know milliseconds and no more.
    const since = Date.now();
    await eventually(() => Date.now() > since, { everyMs: 1 });
    const event = anOrderEvent({ tenant_id, user_id });
    await inTransaction(pool, (client) =>
      keep(client, [{ event_id: event.event_id, traceparent, notifications: notificationsFor(event) }]),
    );
  }

  const now = async () => (await sampleOf(pool)).at;

  return {
    ...{ database, pool, store, encode, now },
    /** A tenant with a customer and a member of staff, of now. */
    aTenant() {
      const tenant_id = randomUUIDv7();
      const as = (role: 'customer' | 'staff') => {
        const user_id = randomUUIDv7();
        const token = tokens.token({ tenant_id, user_id, roles: [role] });
        const reader = { tenant_id, user_id, is_staff: role === 'staff' };
        return {
          reader,
          get: async () =>
            request(app)
              .get(path)
              .set('authorization', `Bearer ${await token}`),
          put: async (body: object, ifMatch?: string) => {
            const asking = request(app)
              .put(path)
              .set('authorization', `Bearer ${await token}`);
            return (ifMatch === undefined ? asking : asking.set('if-match', ifMatch)).send(body);
          },
          list: () => store.list(reader, { unread: undefined, before: undefined, limit: 50 }),
        };
      };
      const customer = as('customer');
      return {
        tenant_id,
        customer,
        staff: as('staff'),
        order: () => keepOrder(tenant_id, customer.reader.user_id),
      };
    },
    windowsOf: (tenantId: string) =>
      inTenant(
        pool,
        tenantId,
        async (client) =>
          (await client.query('SELECT * FROM notifications.digest_window ORDER BY starts_at')).rows,
      ),
    /** Of all tenants: what is due of one test is not to be counted by the next. */
    async forgetWindows(): Promise<void> {
      await inTransaction(pool, async (client) => {
        await client.query("SELECT set_config('ragline.scope', 'operator', true)");
        await client.query('DELETE FROM notifications.digest_window');
      });
    },
    /** As if the time of all of a tenant's windows had come; what was made in this very millisecond is within them. */
    async comeDue(tenantId: string): Promise<void> {
      await inTenant(pool, tenantId, (client) =>
        client.query(
          `UPDATE notifications.digest_window
              SET ends_at = date_trunc('milliseconds', now()) + interval '1 millisecond', due_at = now() - interval '1 year'`,
        ),
      );
    },
    tell: async () => tellDue(pool, encode, await now(), 10),
    /** Events of the outbox, decoded, in their order. */
    async eventsOf(tenantId: string) {
      const { rows } = await inTenant(pool, tenantId, (client) =>
        client.query<{ payload: Buffer }>('SELECT payload FROM notifications.outbox ORDER BY id'),
      );
      return Promise.all(
        rows.map(async ({ payload }) => (await codec.decode(payload)).value as Record<string, unknown>),
      );
    },
    async close(): Promise<void> {
      await pool.end();
      await tokens.jwks.stop();
      await database.drop();
    },
  };
}
