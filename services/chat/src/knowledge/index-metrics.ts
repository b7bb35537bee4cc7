/** Metrics of the index, which its consumer and the filling of gaps share. */
import type { Metrics } from '@ragline/runtime/metrics';

const freshnessBuckets = [0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 120];

export function indexMetrics(metrics: Metrics) {
  return {
    freshness: metrics.histogram(
      'ragline_chat_index_freshness_seconds',
      'From a change of the catalogue until it can be found. text: it had to be embedded; facts: it had not.',
      ['change'],
      freshnessBuckets,
    ),
    embedded: metrics.counter(
      'ragline_chat_index_embedded_total',
      'Chunks that were embedded, by the event that changed them or by the filling of gaps.',
      ['by'],
    ),
    missing: metrics.gauge(
      'ragline_chat_index_missing',
      'Chunks without a vector of their present text, by model, when this instance last looked; 256 stands for more.',
      ['model'],
    ),
  };
}
