/**
 * A worker that carries out an approved order as a process of its own, and is killed as `kill -9` does at the place it is
 * told: what it is to do is its argument, as JSON. Tells its parent what came of it when it lives that long.
 */
import { approvalExecution } from '@ragline/chat/tools/approvals';
import { delegatedTokens } from '@ragline/chat/tools/delegated-tokens';
import { createOrdersClient } from '@ragline/chat/tools/orders-client';
import { createPool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';

export type Errand = {
  databaseUrl: string;
  ordersUrl: string;
  identityUrl: string;
  approval_id: string;
  caller: {
    tenant_id: string;
    user_id: string;
    conversation_id: string;
    turn_id: string;
    generation: number;
  };
  dieAt: string | null;
};

const errand: Errand = JSON.parse(process.argv[2] ?? '');
const { databaseUrl: url, ordersUrl, identityUrl, approval_id, caller, dieAt } = errand;
const log = { debug() {}, info() {}, warn() {}, error() {} };
const metrics = createMetrics({ service: 'test' });
const pool = createPool({ url, max: 2, applicationName: 'chat-order', log, metrics });
const tokens = delegatedTokens({ identityUrl, secret: 'test', timeoutMs: 5_000 });
const orders = createOrdersClient({ urls: [ordersUrl], tokens, timeoutMs: 5_000, metrics });
const failpoint = (name: string) => {
  if (name === dieAt) process.kill(process.pid, 'SIGKILL');
};
const execute = approvalExecution({ pool, orders, failpoint });
const result = await execute(approval_id, {
  ...caller,
  roles: ['customer'],
  signal: new AbortController().signal,
});
process.send?.(result);
orders.stop();
await pool.end();
process.disconnect?.();
