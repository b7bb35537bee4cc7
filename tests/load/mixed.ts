/** 100 customers at a time who browse, order and watch. */
import type { Options } from 'k6/options';
import { goals, socketGoals, visit } from './customer.ts';

const seconds = Number(__ENV.LOAD_SECONDS || 90);

export const options: Options = {
  scenarios: {
    mixed: {
      executor: 'ramping-vus',
      stages: [
        { duration: '30s', target: 100 },
        { duration: `${seconds}s`, target: 100 },
        { duration: '5s', target: 0 },
      ],
      gracefulRampDown: '15s',
    },
  },
  thresholds: { ...goals, ...socketGoals },
};

export default visit;
