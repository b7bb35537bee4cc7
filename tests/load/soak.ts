/** 30 customers for a long while: what leaks, shows. */
import type { Options } from 'k6/options';
import { goals, socketGoals, visit } from './customer.ts';

export const options: Options = {
  scenarios: {
    soak: {
      executor: 'constant-vus',
      vus: Number(__ENV.LOAD_USERS_AT_A_TIME || 30),
      duration: `${Number(__ENV.LOAD_SECONDS || 3_600)}s`,
      gracefulStop: '15s',
    },
  },
  thresholds: { ...goals, ...socketGoals },
};

export default visit;
