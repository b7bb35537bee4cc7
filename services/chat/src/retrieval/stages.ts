/** The stages of a search, each a span, a histogram and a line in the answer's timings. */
import type { Metrics } from '@ragline/runtime/metrics';
import { withSpan } from '@ragline/runtime/tracing';

type Stage = 'model' | 'cache' | 'embed' | 'size' | 'search' | 'repeat' | 'rank';

export type Stages = {
  run<T>(stage: Stage, work: () => Promise<T>): Promise<T>;
  /** For work that waits for nothing. */
  runNow<T>(stage: Stage, work: () => T): T;
  /** Milliseconds of each stage and in total. */
  end(): Record<string, number>;
};

const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export function stageTimer(metrics: Metrics): () => Stages {
  const seconds = metrics.histogram(
    'ragline_retrieval_stage_seconds',
    'How long a stage of a search took.',
    ['stage'],
    buckets,
  );
  return () => {
    const startedAt = performance.now();
    const timings: Record<string, number> = {};
    const note = (stage: string, from: number) => {
      const ms = performance.now() - from;
      timings[stage] = Math.round(ms * 1_000) / 1_000;
      seconds.observe({ stage }, ms / 1_000);
    };
    return {
      async run(stage, work) {
        const from = performance.now();
        try {
          return await withSpan(`retrieve ${stage}`, {}, work);
        } finally {
          note(stage, from);
        }
      },
      runNow(stage, work) {
        const from = performance.now();
        const result = work();
        note(stage, from);
        return result;
      },
      end() {
        note('total', startedAt);
        return timings;
      },
    };
  };
}
