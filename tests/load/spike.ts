/** Visits at a steady rate that triples for a while: nothing fails in the spike, and nothing is slow behind it. */
import type { Options } from 'k6/options';
import { browse, goals, order } from './customer.ts';

const rate = Number(__ENV.LOAD_RATE || 8);
const seconds = Number(__ENV.LOAD_SECONDS || 30);

const steady = { preAllocatedVUs: 60, maxVUs: 100, executor: 'constant-arrival-rate' as const, rate };

export const options: Options = {
  scenarios: {
    before: { ...steady, duration: `${seconds}s`, exec: 'visitOnce' },
    spike: {
      ...steady,
      rate: rate * 3,
      duration: `${seconds}s`,
      startTime: `${seconds}s`,
      exec: 'visitOnce',
    },
    behind: { ...steady, duration: `${seconds}s`, startTime: `${2 * seconds}s`, exec: 'visitOnce' },
  },
  thresholds: {
    http_req_failed: goals.http_req_failed,
    checks: goals.checks,
    dropped_iterations: ['count<1'],
    'http_req_duration{scenario:before}': ['p(95)<115'],
    'http_req_duration{scenario:spike}': ['p(95)<500'],
    'http_req_duration{scenario:behind}': ['p(95)<115'],
  },
};

export function visitOnce(): void {
  order(browse());
}
