/** Webhooks as Prometheus sees them; rules for it are in infra/prometheus. */
import type { Pool } from '@ragline/postgres/pool';
import type { Metrics } from '@ragline/runtime/metrics';

export type WebhookMetrics = ReturnType<typeof webhookMetrics>;

const latenessBuckets = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600];

export function webhookMetrics(metrics: Metrics) {
  const endpoints = metrics.gauge(
    'ragline_webhook_endpoints',
    'Endpoints by state: active, failing, paused by their tenant, disabled by RAGline.',
    ['state'],
  );
  const waiting = metrics.gauge(
    'ragline_webhook_deliveries_waiting',
    'Deliveries that wait, for their first try or another.',
  );
  const overdue = metrics.gauge(
    'ragline_webhook_overdue_seconds',
    'Longest time that a delivery is due, of endpoints that answer.',
  );

  return {
    attempts: metrics.counter(
      'ragline_webhook_attempts_total',
      'Tries by outcome: delivered, gone, status, redirected, timeout, address_refused and others that failed.',
      ['outcome'],
    ),
    duration: metrics.histogram(
      'ragline_webhook_attempt_seconds',
      'Time that a receiver took, or was given.',
    ),
    firstAttempt: metrics.histogram(
      'ragline_webhook_first_attempt_seconds',
      "From an event's occurred_at until it was first sent.",
      [],
      latenessBuckets,
    ),
    inFlight: metrics.gauge('ragline_webhook_in_flight', 'Tries under way in this instance.'),
    disabled: metrics.counter(
      'ragline_webhook_endpoints_disabled_total',
      'Endpoints that RAGline has disabled, by reason.',
      ['reason'],
    ),
    /** Each instance shows the same numbers: take the max over instances, never the sum. */
    async measure(pool: Pick<Pool, 'query'>): Promise<void> {
      const { rows } = await pool.query<Measured>('SELECT * FROM notifications.measure_webhooks()');
      const [row] = rows;
      if (row === undefined) return;
      for (const state of ['active', 'failing', 'paused', 'disabled'] as const) {
        endpoints.set({ state }, row[state]);
      }
      waiting.set(row.waiting);
      overdue.set(row.overdue_s);
    },
  };
}

type Measured = Record<'active' | 'failing' | 'paused' | 'disabled' | 'waiting' | 'overdue_s', number>;
