/** Orders at a steady rate, while the command that started this reads them from 100 SSE streams. */
import type { Options } from 'k6/options';
import { browse, goals, order } from './customer.ts';

export const options: Options = {
  scenarios: {
    sse: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.LOAD_RATE || 5),
      duration: `${Number(__ENV.LOAD_SECONDS || 60)}s`,
      preAllocatedVUs: 30,
      maxVUs: 100,
    },
  },
  thresholds: goals,
};

export default function once(): void {
  order(browse());
}
