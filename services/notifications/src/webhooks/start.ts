/**
 * Webhooks of this instance, put together.
 *
 *   orders.v1 → group webhooks → deliveries (Postgres) → sender → the tenant's own systems
 */
import { createIdempotencyStore } from '@ragline/postgres/idempotency';
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import { type ConsumerOptions, startConsumer } from '@ragline/streams/consumer';
import type { RetryOptions } from '@ragline/streams/run-parts';
import type { Api } from '@ragline/web/api';
import { createRecent } from '../recent.ts';
import type { NotificationStore } from '../store.ts';
import { keepDeliveries, webhookGroupId } from './consumer.ts';
import { tracedDeliveries } from './delivery-store.ts';
import { addEndpointRoutes } from './http.ts';
import { addDeliveryRoutes } from './http-deliveries.ts';
import { createSecretKeys } from './keys.ts';
import { webhookMetrics } from './metrics.ts';
import { notifyStaff } from './notice.ts';
import { createPost } from './post.ts';
import { createResolve, type Resolve } from './resolve.ts';
import { seeAllTenants } from './scope.ts';
import { startSender } from './sender.ts';
import type { WebhookSettings } from './settings.ts';

export type WebhooksOptions = {
  pool: Pool;
  store: Pick<NotificationStore, 'keeper'>;
  settings: WebhookSettings;
  isProduction: boolean;
  /** DNS when not given. */
  resolve?: Resolve;
  /** How long a claim is good; longer than a try takes with all that is written about it. */
  leaseMs?: number;
  pollMs?: number;
  /** How long a stop waits for tries that have begun, before it gives them back. */
  stopWithinMs: number;
  log: Logger;
  metrics: Metrics;
};

/** What the group shares with the service's other one. */
export type Following = Pick<
  ConsumerOptions,
  'kafka' | 'producer' | 'log' | 'metrics' | 'health' | 'concurrency' | 'stopWithinMs'
> &
  RetryOptions & { codec: Codec; pool: Pool };

export type Webhooks = ReturnType<typeof startWebhooks>;

const measuredEveryMs = 10_000;
/** Beside the time of a try: for what is written down before and after it. */
const leaseSpareMs = 20_000;

export function startWebhooks({
  pool,
  store,
  settings,
  isProduction,
  resolve = createResolve(),
  leaseMs = settings.timeoutMs + leaseSpareMs,
  pollMs = 500,
  stopWithinMs,
  log,
  metrics,
}: WebhooksOptions) {
  const keys = createSecretKeys(settings.keys);
  const recent = createRecent();
  const shown = webhookMetrics(metrics);
  const { allowLoopback, timeoutMs, delaysMs, disableAfterMs, disableAfterExhausted } = settings;
  const rules = { allowLoopback };
  const sender = startSender({
    pool,
    post: createPost({ resolve, timeoutMs, ...rules }),
    keys,
    notifier: notifyStaff(store),
    rules: { delaysMs, disableAfterMs, disableAfterExhausted },
    concurrency: settings.concurrency,
    perEndpoint: settings.perEndpoint,
    leaseMs,
    pollMs,
    stopWithinMs,
    log,
    metrics: shown,
  });
  const measure = () =>
    shown.measure(pool).catch((error: unknown) => log.warn('webhooks cannot be measured', { error }));
  const measuring = setInterval(measure, measuredEveryMs);

  return {
    addRoutes(api: Api): void {
      const { wake } = sender;
      const idempotency = createIdempotencyStore(pool, 'notifications');
      const { endpointsMax, overlapMs } = settings;
      const own = { keys, rules, resolve, isProduction, endpointsMax, overlapMs };
      addEndpointRoutes({ api, pool, idempotency, ...own, wake });
      addDeliveryRoutes({ api, pool, idempotency, wake });
    },
    /** Joins the group; stop it before the sender. */
    follow: (following: Following) =>
      startConsumer({
        ...following,
        groupId: webhookGroupId,
        topics: [topics.orders],
        order: 'by-key',
        handleBatch: keepDeliveries(sender.wake),
        onFinished: recent.add,
      }),
    recent,
    wake: sender.wake,
    /** @param tenantId whose event it must be; undefined: anybody's */
    tracedDeliveries: (eventId: string, tenantId: string | undefined) =>
      tracedDeliveries(pool, eventId, tenantId, seeAllTenants),
    async stop(): Promise<void> {
      clearInterval(measuring);
      await sender.stop();
    },
  };
}

const prunedAtOnce = 1_000;

/** Forgets what is older or was removed; goes on until nothing is left. How many rows. Safe from several instances. */
export async function pruneWebhooks(pool: Pick<Pool, 'query'>, retentionDays: number): Promise<number> {
  let pruned = 0;
  for (;;) {
    const { rows } = await pool.query<{ pruned: number }>(
      'SELECT notifications.prune_webhooks($1, $2) AS pruned',
      [retentionDays, prunedAtOnce],
    );
    const count = rows[0]?.pruned ?? 0;
    pruned += count;
    if (count === 0) return pruned;
  }
}
