/** What a consumer group shows of itself. No label has a tenant's or a key's value. */
import type { Metrics } from '@ragline/runtime/metrics';

const delayBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

const latenessBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2, 5, 10, 60];

export type ConsumerMetrics = ReturnType<typeof consumerMetrics>;

export function consumerMetrics(metrics: Metrics, group: string) {
  const records = metrics.counter('ragline_records_total', 'Records that a group is done with, by outcome.', [
    'topic',
    'group',
    'outcome',
  ]);
  const handling = metrics.histogram(
    'ragline_handler_seconds',
    'Time in a handler: of one record, or of a batch.',
    ['topic', 'group'],
  );
  const delay = metrics.histogram(
    'ragline_handled_delay_seconds',
    'From when an event happened (its occurred_at, just before the commit) until a group was done with it.',
    ['topic', 'group'],
    delayBuckets,
  );
  const lag = metrics.gauge('ragline_consumer_lag', 'Records of a partition that a group is not done with.', [
    'topic',
    'group',
    'partition',
  ]);
  const paused = metrics.gauge(
    'ragline_consumer_paused',
    'Partitions that wait: 1 unavailable or full, 0 reading.',
    ['topic', 'group', 'partition'],
  );
  const lateness = metrics.histogram(
    'ragline_retry_lateness_seconds',
    'From when a record that waited was due until it was tried again; tier line: in the line of its key.',
    ['group', 'tier'],
    latenessBuckets,
  );
  const flooded = metrics.gauge(
    'ragline_consumer_flooded',
    'Whether a group waits because most of what it tries fails: 1 it does.',
    ['group'],
  );
  const abandoned = metrics.gauge(
    'ragline_handlers_abandoned',
    'Handlers that were given up at their deadline and still run.',
    ['group'],
  );
  const joins = metrics.counter('ragline_consumer_joins_total', 'Assignments received.', ['group']);
  const restarts = metrics.counter('ragline_consumer_restarts_total', 'Consumers built anew.', [
    'group',
    'reason',
  ]);

  return {
    finished(topic: string, outcome: string, happenedAt: number) {
      records.inc({ topic, group, outcome });
      delay.observe({ topic, group }, Math.max(0, Date.now() - happenedAt) / 1_000);
    },
    handled: (topic: string, seconds: number) => handling.observe({ topic, group }, seconds),
    lag: (topic: string, partition: number, behind: number) => lag.set({ topic, group, partition }, behind),
    paused: (topic: string, partition: number, isPaused: boolean) =>
      paused.set({ topic, group, partition }, isPaused ? 1 : 0),
    /** The partition is another instance's now. */
    forget(topic: string, partition: number) {
      lag.remove({ topic, group, partition });
      paused.remove({ topic, group, partition });
    },
    late: (tier: string, seconds: number) => lateness.observe({ group, tier }, seconds),
    flooded: (isFlooded: boolean) => flooded.set({ group }, isFlooded ? 1 : 0),
    abandoned: (count: number) => abandoned.set({ group }, count),
    joined: () => joins.inc({ group }),
    restarted: (reason: string) => restarts.inc({ group, reason }),
  };
}
