/** Settings of webhooks. */
import type { SettingsReader } from '@ragline/runtime/settings';
import { keysFaults } from './keys.ts';

export type WebhookSettings = ReturnType<typeof readWebhookSettings>;

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
// The schedule that Standard Webhooks recommend, as far as it goes on for a day: 31 h 35 min to the last try.
const delaysMs = [5_000, 300_000, 1_800_000, 2 * hourMs, 5 * hourMs, 10 * hourMs, 14 * hourMs];

export function readWebhookSettings(env: SettingsReader) {
  return {
    keys: env.secret('WEBHOOK_KEYS'),
    allowLoopback: env.choice('WEBHOOK_ALLOW_LOOPBACK', ['on', 'off'], 'off') === 'on',
    delaysMs: env.integers('WEBHOOK_RETRY_DELAYS_MS', delaysMs, { min: 1, max: 7 * dayMs }),
    timeoutMs: env.integer('WEBHOOK_TIMEOUT_MS', 10_000, { min: 100, max: 20_000 }),
    concurrency: env.integer('WEBHOOK_CONCURRENCY', 256, { min: 1, max: 10_000 }),
    perEndpoint: env.integer('WEBHOOK_PER_ENDPOINT', 10, { min: 1, max: 100 }),
    endpointsMax: env.integer('WEBHOOK_ENDPOINTS_MAX', 10, { min: 1, max: 1_000 }),
    disableAfterMs: env.integer('WEBHOOK_DISABLE_AFTER_HOURS', 120, { min: 1, max: 10_000 }) * hourMs,
    disableAfterExhausted: env.integer('WEBHOOK_DISABLE_AFTER_FAILED', 100, { min: 1 }),
    overlapMs: env.integer('WEBHOOK_SECRET_OVERLAP_HOURS', 24, { max: 720 }) * hourMs,
    retentionDays: env.integer('WEBHOOK_RETENTION_DAYS', 30, { min: 1, max: 3_650 }),
  };
}

/** What no single setting shows. */
export function webhookFaults({ keys, allowLoopback }: WebhookSettings, isProduction: boolean): string[] {
  const loopback =
    isProduction && allowLoopback
      ? // Any tenant's admin could have this machine call itself.
        ['WEBHOOK_ALLOW_LOOPBACK=on is refused while RAGLINE_ENV is production']
      : [];
  return [...keysFaults(keys), ...loopback];
}
