/** A circuit breaker around one dependency. */
import CircuitBreaker from 'opossum';
import type { Metrics } from './metrics.ts';

/** The dependency was not asked, or did not answer in time; trying again later can help. */
export class BreakerError extends Error {
  override readonly name = 'BreakerError';
  readonly code: 'breaker_open' | 'breaker_timeout';
  readonly dependency: string;

  constructor(code: BreakerError['code'], dependency: string, options?: ErrorOptions) {
    super(
      code === 'breaker_open' ? `${dependency} is away` : `${dependency} did not answer in time`,
      options,
    );
    this.code = code;
    this.dependency = dependency;
  }
}

export type BreakerOptions<A extends unknown[], T> = {
  /** The dependency's name, as metrics and errors show it. */
  name: string;
  call: (...args: A) => Promise<T>;
  timeoutMs: number;
  metrics: Metrics;
  /** Errors that say nothing against the dependency, such as a 404. */
  isHarmless?: (error: unknown) => boolean;
  /** How long it stays open before one call tries again. */
  openMs?: number;
};

const states = { closed: 0, half_open: 1, open: 2 };
export type BreakerState = keyof typeof states;
export type Breaker<A extends unknown[], T> = {
  /** Calls, or throws BreakerError; the call's own errors pass through. */
  fire(...args: A): Promise<T>;
  state(): BreakerState;
  stop(): void;
};

/** Opens when half of at least five calls within ten seconds failed. */
export function createBreaker<A extends unknown[], T>(options: BreakerOptions<A, T>): Breaker<A, T> {
  const { name, call, timeoutMs, metrics, isHarmless, openMs = 5_000 } = options;
  const breaker = new CircuitBreaker(call, {
    name,
    timeout: timeoutMs,
    resetTimeout: openMs,
    errorThresholdPercentage: 50,
    volumeThreshold: 5,
    rollingCountTimeout: 10_000,
    ...(isHarmless ? { errorFilter: isHarmless } : {}),
  });
  const stateOf = (): BreakerState => (breaker.opened ? 'open' : breaker.halfOpen ? 'half_open' : 'closed');

  const gauge = metrics.gauge('ragline_breaker_state', 'Breaker: 0 closed, 1 half-open, 2 open.', [
    'dependency',
  ]);
  const calls = metrics.counter('ragline_breaker_calls_total', 'Calls through a breaker.', [
    'dependency',
    'outcome',
  ]);
  const seconds = metrics.histogram(
    'ragline_breaker_call_seconds',
    'How long a dependency took to answer, or to fail, through its breaker.',
    ['dependency', 'outcome'],
  );
  const show = () => gauge.set({ dependency: name }, states[stateOf()]);
  const count = (outcome: string) => () => calls.inc({ dependency: name, outcome });
  const time = (outcome: string, ms: number) => seconds.observe({ dependency: name, outcome }, ms / 1_000);
  breaker.on('open', show).on('close', show).on('halfOpen', show);
  breaker.on('success', count('success')).on('failure', count('failure'));
  breaker.on('timeout', count('timeout')).on('reject', count('rejected'));
  breaker.on('success', (_, ms) => time('success', ms)).on('failure', (_, ms) => time('failure', ms));
  breaker.on('timeout', () => time('timeout', timeoutMs));
  show();

  return {
    state: stateOf,
    stop: () => breaker.shutdown(),
    async fire(...args) {
      try {
        return await breaker.fire(...args);
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (code === 'EOPENBREAKER') throw new BreakerError('breaker_open', name, { cause: error });
        if (code === 'ETIMEDOUT' && error instanceof Error && error.message.startsWith('Timed out after')) {
          throw new BreakerError('breaker_timeout', name, { cause: error });
        }
        throw error;
      }
    },
  };
}
