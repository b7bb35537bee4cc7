/** The watch: a round every few seconds on every instance, of which one decides, and the messages that come of it. */
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { type AlertTarget, createSender, queueMessages } from './alert-messages.ts';
import { alertMetrics } from './alert-metrics.ts';
import { type AlertChange, runRound } from './alert-round.ts';
import { alertStore } from './alert-store.ts';
import { appendLetterEvents, type Encode, type LetterEvent } from './events.ts';
import { inScope, system } from './scope.ts';

export type WatchParts = {
  pool: Pool;
  /** Without one, alerts are rows, events and metrics only. */
  target: AlertTarget | undefined;
  /** The encoder of dead_letter_v1; while it cannot be had, rounds measure and decide nothing. */
  encoder: () => Promise<Encode>;
  everyMs?: number;
  log: Logger;
  metrics: Metrics;
};

export type AlertWatch = ReturnType<typeof createWatch>;

/** The watch without its clock: tests call `round` and `send` themselves. */
export function createWatch({ pool, target, encoder, log, metrics }: WatchParts) {
  const store = alertStore();
  const shown = alertMetrics(metrics);
  const sender = target && createSender({ pool, target, log, metrics });

  return {
    async round(): Promise<AlertChange[]> {
      // In a transaction of its own: whoever else sums up would else wait for the whole round.
      await pool.query('SELECT dead_letters.fold()');
      const encode = await encoder().catch((error: unknown) => {
        log.warn('alerts cannot be announced', { error });
      });
      const { measures, raised, changes } = await inScope(pool, system, async (client) => {
        const found = await runRound(client, store, { decides: encode !== undefined });
        if (encode !== undefined) await appendLetterEvents(client, encode, found.changes.map(eventOf));
        if (target !== undefined && found.decided) await queueMessages(client, found.raised, found.changes);
        return found;
      });
      shown.show(measures, raised);
      for (const { event_type, alert } of changes) {
        const { id, kind, group, value, threshold } = alert;
        log.warn(event_type === 'alert_raised' ? 'alert raised' : 'alert cleared', {
          alert_id: id,
          kind,
          group,
          value,
          threshold,
        });
      }
      return changes;
    },
    async send(): Promise<number> {
      return (await sender?.sendDue()) ?? 0;
    },
    async keepHouse(): Promise<void> {
      await inScope(pool, system, (client) => store.prune(client));
    },
  };
}

function eventOf({
  event_type,
  alert: { id, tenant_id, kind, group, value, threshold },
}: AlertChange): LetterEvent {
  return { event_type, tenant_id, user_id: null, alert: { id, kind, group, value, threshold } };
}

/** Runs rounds until it is stopped; what fails is logged, and tried again the next time. */
export function startWatch(parts: WatchParts): { stop(): Promise<void> } {
  const { everyMs = 5_000, log } = parts;
  const watch = createWatch(parts);
  const stopping = new AbortController();
  const attempt = (name: string, work: () => Promise<unknown>) =>
    work().catch((error: unknown) => log.warn(`${name} failed`, { error }));

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await attempt('round of alerts', () => watch.round());
      await attempt('sending of alerts', () => watch.send());
      await attempt('upkeep of alerts', () => watch.keepHouse());
      // A little apart from the other instances, so that it is not always the same one that finds the lock taken.
      await pause(everyMs * (0.9 + 0.2 * Math.random()), stopping.signal);
    }
  };
  const running = run();

  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}
