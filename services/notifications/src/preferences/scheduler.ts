/** Looks every second for windows that are due, on every instance. */
import { setTimeout as delay } from 'node:timers/promises';
import { inTransaction, type Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { Encode } from '../outbox.ts';
import { createSettled, sampleOf } from './settled.ts';
import { putOff, type Told, tellDue } from './windows.ts';

export type DigestScheduler = { stop(): Promise<void> };

const lookEveryMs = 1_000;
const atOnce = 50;
const putOffMs = 60_000;

export function startDigests(parts: {
  pool: Pool;
  encoder: () => Promise<Encode>;
  log: Logger;
  metrics: Metrics;
}): DigestScheduler {
  const { pool, encoder, log, metrics } = parts;
  const stopping = new AbortController();
  const settle = createSettled();
  const windows = metrics.counter(
    'ragline_digest_windows_total',
    'Windows of digests that were due, by what became of them.',
    ['outcome'],
  );
  const late = metrics.gauge(
    'ragline_digest_lateness_seconds',
    'How long the window that is due longest has been; 0 when none is.',
  );

  async function look(): Promise<void> {
    const sample = await sampleOf(pool);
    const until = settle(sample);
    try {
      // Before any window is looked at: none is to blame where the registry does not answer.
      await tellAll(until, await encoder());
    } finally {
      // Also where nothing could be told: just then it grows.
      late.set(await latenessOf(pool));
    }
  }

  async function tellAll(until: number, encode: Encode): Promise<void> {
    let most = atOnce;
    while (!stopping.signal.aborted) {
      let told: Told;
      try {
        told = await tellDue(pool, encode, until, most);
      } catch (error) {
        // One of many: each by itself, until the one is met that cannot be told.
        if (most > 1) {
          most = 1;
          continue;
        }
        log.warn('digest failed: put off', { error, delayMs: putOffMs });
        windows.inc({ outcome: 'failed' });
        // None is due, or another instance has it: whatever failed will at the next look.
        if ((await putOff(pool, until, putOffMs)) === 0) return;
        continue;
      }
      for (const outcome of ['told', 'empty', 'postponed'] as const) windows.inc({ outcome }, told[outcome]);
      if (told.told + told.empty + told.postponed < most) return;
    }
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      await look().catch((error: unknown) => log.warn('digests wait', { error }));
      await delay(lookEveryMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();

  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

async function latenessOf(pool: Pool): Promise<number> {
  return inTransaction(pool, async (client) => {
    await client.query("SELECT set_config('ragline.scope', 'operator', true)");
    const { rows } = await client.query<{ seconds: number | null }>(
      `SELECT extract(epoch FROM clock_timestamp() - min(due_at))::float8 AS seconds
         FROM notifications.digest_window`,
    );
    return Math.max(0, rows[0]?.seconds ?? 0);
  });
}
