/** The dead letters as Prometheus sees them; rules for it are in infra/prometheus. */
import type { Metrics } from '@ragline/runtime/metrics';
import { type Measure, measured } from './alert-measures.ts';
import { alertKinds } from './alert-rules.ts';
import type { Alert } from './alert-store.ts';

export type AlertMetrics = ReturnType<typeof alertMetrics>;

const states = ['waiting', 'replaying', 'resolved', 'discarded'];

/** Groups of foreign letters are named by whoever wrote them: above this they are counted together. */
const groupsMax = 200;
const otherGroups = 'other';

/** Each instance exports the same numbers, as it read them last: take the max over instances, never the sum. */
export function alertMetrics(metrics: Metrics) {
  const letters = metrics.gauge('ragline_dead_letters', 'Dead letters by state.', ['group', 'state']);
  const oldest = metrics.gauge(
    'ragline_dead_letters_oldest_age_seconds',
    'Age of the oldest dead letter that waits; 0 without one.',
    ['group'],
  );
  const failures = metrics.gauge(
    'ragline_dead_letters_failures_per_minute',
    'Letters that failed, newly or after a replay: mean of the last five minutes.',
    ['group'],
  );
  const alerts = metrics.gauge('ragline_dead_letters_alerts', 'Alerts that are raised, by kind.', ['kind']);
  const measuredAt = metrics.gauge(
    'ragline_dead_letters_measured_timestamp_seconds',
    'When these were read last, in seconds since 1970.',
  );

  return {
    show(measures: readonly Measure[], raised: readonly Alert[], now: Date = new Date()): void {
      for (const gauge of [letters, oldest, failures]) gauge.reset();
      for (const [group, own] of byGroup(measures.filter(({ tenant_id }) => tenant_id === null))) {
        for (const state of states) {
          letters.set(
            { group, state },
            own.reduce((sum, one) => sum + (one.letters[state] ?? 0), 0),
          );
        }
        oldest.set({ group }, measured('oldest_age', own, now));
        failures.set({ group }, measured('failure_rate', own, now));
      }
      for (const kind of alertKinds)
        alerts.set({ kind }, raised.filter((alert) => alert.kind === kind).length);
      measuredAt.set(now.getTime() / 1_000);
    },
  };
}

function byGroup(measures: readonly Measure[]): Map<string, Measure[]> {
  const groups = new Map<string, Measure[]>();
  for (const measure of measures) {
    const name = groups.has(measure.group) || groups.size < groupsMax ? measure.group : otherGroups;
    groups.set(name, [...(groups.get(name) ?? []), measure]);
  }
  return groups;
}
