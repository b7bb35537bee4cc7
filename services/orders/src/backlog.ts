/**
 * The way out to Kafka, as the replication slot shows it: how far behind it is, and whether it may grow.
 *
 * Postgres drops a slot that needs more than max_slot_wal_keep_size, so writes stop at 90 % of it.
 */
import { readSlot, type SlotState } from '@ragline/postgres/slot';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { problem } from '@ragline/web/problems';

export type Backlog = {
  /** Throws Problem outbox_backlog while no more events may be written. */
  requireRoom(): void;
  stop(): void;
};

const fullShare = 0.9;
const refreshMs = 1_000;
/** An answer older than this says nothing. Then writes go on: what they leave in the outbox can be published later. */
const validMs = 15_000;

/** True when the slot keeps nearly as much as it may. Without a slot, a limit or an answer there is room. */
export function isFull(slot: Pick<SlotState, 'lag_bytes' | 'cap_bytes'> | undefined): boolean {
  return slot !== undefined && slot.cap_bytes !== null && slot.lag_bytes >= fullShare * slot.cap_bytes;
}

export function watchBacklog(options: {
  pool: Parameters<typeof readSlot>[0];
  slot: string;
  log: Logger;
  metrics: Metrics;
  everyMs?: number;
}): Backlog {
  const { pool, slot, log, metrics, everyMs = refreshMs } = options;
  const bytes = metrics.gauge(
    'ragline_outbox_slot_lag_bytes',
    'Write-ahead log that waits for the connector.',
  );
  const ms = metrics.gauge(
    'ragline_outbox_slot_lag_ms',
    'How long the connector has not caught up; 0 when it has.',
  );
  const active = metrics.gauge('ragline_outbox_slot_active', '1 while the connector reads the slot.');
  let state: { isFull: boolean; at: number } = { isFull: false, at: 0 };
  let isFailing = false;
  let isReading = false;

  const refresh = async () => {
    if (isReading) return;
    isReading = true;
    try {
      const found = await readSlot(pool, slot);
      bytes.set(found?.lag_bytes ?? 0);
      ms.set(found?.lag_ms ?? 0);
      active.set(found?.active ? 1 : 0);
      const next = { isFull: isFull(found), at: Date.now() };
      if (next.isFull !== state.isFull) {
        log[next.isFull ? 'error' : 'info']('outbox backlog', {
          full: next.isFull,
          lag_bytes: found?.lag_bytes,
        });
      }
      state = next;
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn('replication slot not read', { slot, error });
      isFailing = true;
    } finally {
      isReading = false;
    }
  };
  void refresh();
  const timer = setInterval(refresh, everyMs);

  return {
    requireRoom() {
      if (!state.isFull || Date.now() - state.at > validMs) return;
      throw problem('outbox_backlog', 'Events are not being published; new ones are not taken for now.', {
        headers: { 'retry-after': '5' },
      });
    },
    stop: () => clearInterval(timer),
  };
}
