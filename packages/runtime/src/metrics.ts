/** Prometheus metrics of one service. */
import { performance } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; from a cache hit to a call that will be given up. */
export const defaultBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * A registry with Node's default metrics, event-loop utilisation, and the service's own, whose names start
 * with `ragline_`. Asking again for a name gives the same metric, so two pools can share one; throws TypeError
 * when the name is odd or already belongs to a metric of another kind.
 */
export function createMetrics({ service }: { service: string }) {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  let last = performance.eventLoopUtilization();
  new Gauge({
    name: 'ragline_event_loop_utilization',
    help: 'Share of the time since the last scrape that the event loop was busy.',
    registers: [registry],
    collect() {
      const now = performance.eventLoopUtilization();
      this.set(performance.eventLoopUtilization(now, last).utilization);
      last = now;
    },
  });

  const registers = [registry];
  const known = (name: string): unknown => {
    if (!/^ragline_[a-z0-9_]+$/.test(name))
      throw new TypeError(`A metric's name starts with ragline_: ${name}`);
    return registry.getSingleMetric(name);
  };

  return {
    contentType: registry.contentType,
    text: (): Promise<string> => registry.metrics(),

    counter<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Counter<L> {
      const metric = known(name) ?? new Counter({ name, help, labelNames: labels, registers });
      if (metric instanceof Counter) return metric;
      throw new TypeError(`${name} is no counter`);
    },

    gauge<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Gauge<L> {
      const metric = known(name) ?? new Gauge({ name, help, labelNames: labels, registers });
      if (metric instanceof Gauge) return metric;
      throw new TypeError(`${name} is no gauge`);
    },

    histogram<L extends string = never>(
      name: string,
      help: string,
      labels: readonly L[] = [],
      buckets: readonly number[] = defaultBuckets,
    ): Histogram<L> {
      const metric =
        known(name) ?? new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers });
      if (metric instanceof Histogram) return metric;
      throw new TypeError(`${name} is no histogram`);
    },
  };
}
