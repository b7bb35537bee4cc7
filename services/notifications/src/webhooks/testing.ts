/** For tests: webhooks on a database of their own, and a receiver that does as it is told. */
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, inTransaction, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { readSettings } from '@ragline/runtime/settings';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { claim } from '@ragline/streams/inbox';
import type { DecodedEvent } from '@ragline/streams/record';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import request from 'supertest';
import { startReceiver } from '../../../../tests/support/receiver.ts';
import { startTokens } from '../../../../tests/support/tokens.ts';
import type { Encode } from '../outbox.ts';
import { notificationStore } from '../store.ts';
import { keepDeliveries, webhookGroupId } from './consumer.ts';
import { addEndpoint, addSecret, openSecret } from './endpoint-store.ts';
import { createSecretKeys } from './keys.ts';
import type { Resolve } from './resolve.ts';
import { readWebhookSettings, type WebhookSettings } from './settings.ts';
import { startWebhooks } from './start.ts';

export type Scene = Awaited<ReturnType<typeof openScene>>;

type Given = { resolve?: Resolve; isProduction?: boolean; encoder?: () => Promise<Encode> };

const testKeys = '1:a-key-of-the-tests-with-32-characters';
const log = { debug() {}, info() {}, warn() {}, error() {} };

/** Retries after 50 ms, and this machine may be called. */
export const testEnv = {
  WEBHOOK_KEYS: testKeys,
  WEBHOOK_ALLOW_LOOPBACK: 'on',
  WEBHOOK_RETRY_DELAYS_MS: '50,50',
};

export async function openScene() {
  const database = await scratchDatabase();
  const pool = poolOf('ragline_notifications', 8, database.name);
  const tokens = await startTokens();
  const keys = createSecretKeys(testKeys);
  const stops: (() => Promise<unknown>)[] = [];
  const opened: (() => Promise<unknown>)[] = [];

  return {
    database,
    pool,
    /** An instance: sender and REST. Stopped by `stopAll`, or by itself. */
    start(changes: Partial<WebhookSettings> = {}, { encoder, ...options }: Given = {}) {
      const plain: Encode = (event) => Buffer.from(JSON.stringify(event));
      const store = notificationStore(pool, encoder ?? (async () => plain));
      const metrics = createMetrics({ service: 'test' });
      const settings = { ...readSettings(testEnv, readWebhookSettings), ...changes };
      const webhooks = startWebhooks({
        pool,
        store,
        settings,
        log,
        metrics,
        isProduction: false,
        pollMs: 50,
        stopWithinMs: 100,
        ...options,
      });
      stops.push(() => webhooks.stop());
      const authentication = createAuthentication(tokens.settings);
      const api = createApi({ title: 'test', authentication });
      webhooks.addRoutes(api);
      const { app } = createApp({ service: 'test', log, metrics, health: createHealth(), api });
      return { ...webhooks, app, metrics };
    },
    async stopAll(): Promise<void> {
      await Promise.all(stops.splice(0).map((stop) => stop()));
    },
    /** A tenant with a caller for each role. */
    aTenant(app: ReturnType<typeof createApp>['app']) {
      const tenant_id = randomUUIDv7();
      const user_id = randomUUIDv7();
      const as = (role: string) => {
        const token = tokens.token({ tenant_id, user_id, roles: [role] });
        return async (
          method: 'get' | 'post' | 'patch' | 'delete',
          path: string,
          body?: object,
          headers: Record<string, string> = {},
        ) =>
          request(app)
            [method](path)
            .set({ authorization: `Bearer ${await token}`, ...headers })
            .send(body);
      };
      return { tenant_id, user_id, admin: as('admin'), as };
    },
    /** An endpoint as a row, with its secret. */
    async anEndpoint(url: string, tenant_id: string = randomUUIDv7(), event_types: string[] = ['*']) {
      return inTenant(pool, tenant_id, async (client) => {
        const owner = { tenant_id, user_id: randomUUIDv7() };
        const { id } = await addEndpoint(client, owner, {
          url,
          event_types,
          description: null,
          active: true,
        });
        const sealed = await addSecret(client, keys, { tenant_id, webhook_id: id }, 0);
        return { id, tenant_id, secret: openSecret(keys, id, sealed) };
      });
    },
    /** Handles events as the group does. */
    handle: (events: readonly OrderEvent[], wake = () => {}) => handle(pool, events, wake),
    /** Rows of a tenant. */
    async rows<R extends object>(tenantId: string, text: string, values: unknown[] = []): Promise<R[]> {
      return inTenant(pool, tenantId, async (client) => (await client.query<R>(text, values)).rows);
    },
    async aReceiver() {
      const receiver = await startReceiver();
      opened.push(receiver.stop);
      return receiver;
    },
    async close(): Promise<void> {
      for (const stop of [...stops, ...opened, tokens.stop]) await stop();
      await pool.end();
      await database.drop();
    },
  };
}

async function handle(pool: Pool, events: readonly OrderEvent[], wake: () => void): Promise<string[]> {
  return keepDeliveries(wake)(events.map(decoded), {
    once: (effect) =>
      inTransaction(pool, async (client) =>
        effect(
          client,
          await claim(
            client,
            webhookGroupId,
            events.map(({ event_id }) => event_id),
          ),
        ),
      ),
  });
}

function decoded(value: OrderEvent): DecodedEvent {
  const { event_id, event_type, tenant_id, user_id, order } = value;
  const place = { topic: 'orders.v1', partition: 0, offset: '0', key: order.id, headers: {}, schema_id: 1 };
  return { ...place, timestamp: 0, schema: 'order_v1', event_id, event_type, tenant_id, user_id, value };
}
