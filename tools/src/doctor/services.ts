/** The cache and RAGline's own services. */

import { readRunningEnv } from '../../../infra/local/state.ts';
import { ping } from '../../../infra/local/valkey.ts';
import type { Check, Verdict } from './check.ts';
import { mendOf } from './mend.ts';

export const cacheCheck: Check = {
  name: 'valkey',
  mend: mendOf('valkey', 'npm start    (or: is REDIS_URL right? Without it caches live in each process)'),
  async run(settings) {
    const url = settings.find('REDIS_URL');
    if (!url) return { detail: 'none: caches live in each process' };
    await ping(url);
    return { detail: `answers at ${new URL(url).host}` };
  },
};

/** One check for each instance of the running stack. */
export function serviceChecks(env = readRunningEnv() ?? {}): Check[] {
  const instances = Object.entries(env).flatMap(([name, url]) => {
    const found = /^URL_(.+)_(\d+)$/.exec(name);
    return found ? [{ name: `${found[1]?.toLowerCase().replaceAll('_', '-')}-${found[2]}`, url }] : [];
  });
  return instances.map(({ name, url }) => ({
    name,
    mend: mendOf(name, 'npm start'),
    run: () =>
      readiness(
        url,
        `what it needs is named above; its log: ${env.RAGLINE_LOGS ?? '.ragline/logs'}/${name}.log`,
      ),
  }));
}

async function readiness(url: string, mend: string): Promise<Verdict> {
  const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(10_000) });
  const answer: unknown = await response.json().catch(() => ({}));
  const faults = faultsIn(answer);
  if (!response.ok) return { state: 'broken', detail: `not ready: ${faults || response.status}`, mend };
  const status =
    typeof answer === 'object' && answer !== null && 'status' in answer ? answer.status : 'ready';
  if (status !== 'ready')
    return { state: 'warning', detail: `${status}${faults ? `: ${faults}` : ''}`, mend };
  return { detail: 'ready' };
}

/** The checks of a readiness answer that are not well. */
function faultsIn(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null) return '';
  const parts: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(answer)) {
    if (typeof value === 'object' && value !== null) Object.assign(parts, value);
    else if (name === 'sentinel') parts.sentinel = value;
  }
  const well = ['ok', 'ready', 'fresh', 'on_time', 'starting', 'off'];
  const wrong = Object.entries(parts).filter(([, value]) => !well.includes(String(value)));
  return wrong.map(([name, value]) => `${name} ${value}`).join(', ');
}
