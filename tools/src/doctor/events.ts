/** Whether Kafka has the events that the outboxes have. */
import { readRunningEnv } from '../../../infra/local/state.ts';
import { duration } from '../parts/output.ts';
import { tellLost } from '../streams/rebuild/lost.ts';
import { lostAt } from '../streams/rebuild/lost-at.ts';
import type { Check, Verdict } from './check.ts';

/** A connector that runs has carried what is older. */
const carriedWithinMs = 60_000;

export const eventChecks: Check[] = [
  {
    name: 'events',
    needs: ['postgres', 'kafka', 'topics'],
    mend: 'docs/operations/kafka-lost.md says what to do',
    async run(settings) {
      const lost = await lostAt(settings, { olderThanMs: carriedWithinMs });
      return lost === undefined
        ? { detail: 'no topic has lost all that its outbox holds' }
        : { state: 'broken', detail: tellLost(lost) };
    },
  },
  {
    name: 'reconcile',
    mend: 'npx ragline streams reconcile    (names each, and docs/operations/reconcile.md says what they mean)',
    async run() {
      const url = readRunningEnv()?.METRICS_URL_RECONCILE_1;
      if (url === undefined) return { detail: 'not compared here; npx ragline streams reconcile does' };
      const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
      if (answer === undefined) return { state: 'warning', detail: `nothing answers at ${url}` };
      return verdictOf(await answer.text());
    },
  },
];

/** Of what the last comparison found, as its metrics say it. Never broken: it may have been mended since, up to an hour ago. */
export function verdictOf(metrics: string, now = Date.now()): Verdict {
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^ragline_reconcile_${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'gm'))].reduce(
      (total, [, value]) => total + Number(value),
      0,
    );
  const at = sum('last_success_timestamp_seconds');
  if (at === 0) return { detail: 'not compared yet' };
  const passed = Math.max(0, now - at * 1_000);
  const unit = passed < 120_000 ? 1_000 : 60_000;
  const ago = duration(Math.round(passed / unit) * unit);
  const [holes, phantoms] = [sum('holes'), sum('phantoms')];
  if (holes + phantoms === 0) return { detail: `outboxes and topics agreed ${ago} ago` };
  const detail = `${ago} ago ${holes} events of outboxes were on no topic, ${phantoms} records in no outbox`;
  return { state: 'warning', detail };
}
