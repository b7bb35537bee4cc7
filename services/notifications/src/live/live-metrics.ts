/** Metrics of the live plane, made of its plain counts about once a second. No tenant in any label. */
import type { Metrics } from '@ragline/runtime/metrics';
import type { TailStatus } from '@ragline/streams/tail';
import type { Connections } from './connections.ts';
import type { LiveCore } from './core.ts';

export function createLiveMetrics({
  metrics,
  core,
  connections,
}: {
  metrics: Metrics;
  core: LiveCore;
  connections: Connections;
}) {
  const gauge = (name: string, help: string) => metrics.gauge(`ragline_live_${name}`, help);
  const lag = gauge('tail_lag_records', 'Records and markers that the tail has not read yet.');
  const age = gauge('tail_fetch_age_seconds', 'Since the last answer of Kafka to the tail.');
  const ringBytes = gauge('ring_bytes', 'Bytes of the records kept in memory.');
  const ringEntries = gauge('ring_entries', 'Records kept in memory.');
  const ringSpan = gauge('ring_span_seconds', 'Age of the oldest record kept in memory.');
  const connected = metrics.gauge('ragline_live_connections', 'Open connections.', ['kind']);
  const subscriptions = metrics.gauge('ragline_live_subscriptions', 'Subscriptions by state.', ['state']);
  const records = metrics.counter(
    'ragline_live_records_total',
    'Records of the tail by what became of them.',
    ['outcome'],
  );
  const deliveries = metrics.counter('ragline_live_deliveries_total', 'Events handed to sockets.', ['kind']);
  const writes = metrics.counter(
    'ragline_live_writes_total',
    'Writes to sockets; one may hold several events.',
  );
  const resumes = metrics.counter('ragline_live_resumes_total', 'Subscriptions that caught up.', ['source']);
  const gaps = metrics.counter('ragline_live_gaps_total', 'Subscriptions that were told of a gap.', [
    'reason',
  ]);
  const slow = metrics.counter('ragline_live_fell_behind_total', 'LIVE subscriptions that became BEHIND.');
  const replayed = metrics.counter('ragline_live_replayed_records_total', 'Records read again for resumes.');
  const closes = metrics.counter('ragline_live_closes_total', 'Connections closed by us.', ['reason']);

  const told = new Map<string, number>();
  /** How much a count has grown since it was last told. */
  const grown = (name: string, count: number): number => {
    const by = count - (told.get(name) ?? 0);
    told.set(name, count);
    return by;
  };

  return {
    publish(tail: TailStatus, now: number): void {
      const { stats } = core;
      lag.set(tail.lag);
      age.set(tail.fetchedAt === 0 ? -1 : (now - tail.fetchedAt) / 1000);
      const ring = core.ring.stats();
      ringBytes.set(ring.bytes);
      ringEntries.set(ring.entries);
      ringSpan.set(ring.oldestAt === undefined ? 0 : (now - ring.oldestAt) / 1000);
      for (const [kind, count] of Object.entries(connections.counts())) connected.set({ kind }, count);
      for (const [state, count] of Object.entries(core.counts())) subscriptions.set({ state }, count);
      const { received, skipped, decoded, hidden } = stats;
      for (const [outcome, count] of Object.entries({ received, skipped, decoded, hidden })) {
        records.inc({ outcome }, grown(`records ${outcome}`, count));
      }
      for (const [kind, count] of Object.entries(stats.deliveries)) {
        deliveries.inc({ kind }, grown(`deliveries ${kind}`, count));
      }
      for (const [source, count] of Object.entries(stats.resumes)) {
        resumes.inc({ source }, grown(`resumes ${source}`, count));
      }
      for (const [reason, count] of Object.entries(stats.gaps))
        gaps.inc({ reason }, grown(`gaps ${reason}`, count));
      for (const [reason, count] of Object.entries(connections.closes)) {
        closes.inc({ reason }, grown(`closes ${reason}`, count));
      }
      writes.inc(grown('writes', stats.writes));
      slow.inc(grown('slow', stats.fellBehind));
      replayed.inc(grown('replayed', stats.replayed));
    },
  };
}
