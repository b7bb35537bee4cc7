/** What is counted of turns. */
import type { Metrics } from '@ragline/runtime/metrics';
import type { Latency, Turn, TurnEnd } from '../domain.ts';

export type TurnMetrics = ReturnType<typeof turnMetrics>;

const hops = [
  'queue_ms',
  'claim_ms',
  'retrieval_ms',
  'context_ms',
  'model_ttft_ms',
  'first_text_ms',
  'total_ms',
] as const satisfies readonly (keyof Latency)[];

const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export function turnMetrics(metrics: Metrics, runningCount: () => number) {
  const turns = metrics.counter('ragline_chat_turns_total', 'Turns by kind and how they ended.', [
    'kind',
    'outcome',
  ]);
  const hop = metrics.histogram('ragline_chat_hop_seconds', 'Time of a turn by hop.', ['hop'], buckets);
  const restarts = metrics.counter('ragline_chat_restarts_total', 'Turns taken over from another worker.');
  const running = metrics.gauge('ragline_chat_running_turns', 'Turns that run in this process.');

  return {
    restarted: (): void => restarts.inc(),
    ended({ kind }: Pick<Turn, 'kind'>, end: TurnEnd, latency: Latency): void {
      turns.inc({ kind, outcome: end.state === 'failed' ? end.error_code : end.state });
      for (const name of hops) {
        const ms = latency[name];
        if (ms !== undefined) hop.observe({ hop: name.replace(/_ms$/, '') }, ms / 1_000);
      }
    },
    /** To be called when a turn has begun or ended. */
    counted: (): void => running.set(runningCount()),
  };
}
