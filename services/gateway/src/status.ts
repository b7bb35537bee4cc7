/** How the whole stands: for `/readyz`, which anyone may read, and `/v1/system`, which operators may. */

import { type ServiceName, serviceNames } from './routes.ts';
import type { Sentinel } from './sentinel.ts';
import type { Instance, Upstreams } from './upstreams.ts';

export type ServiceStatus = 'ready' | 'degraded' | 'not_ready';

/** Without these there is nothing to be had; without the others something is. */
const needed: readonly ServiceName[] = ['identity', 'orders'];

export function serviceStatus(instances: readonly Pick<Instance, 'state'>[]): ServiceStatus {
  const ready = instances.filter((it) => it.state === 'ready').length;
  if (ready === 0) return 'not_ready';
  return ready === instances.length ? 'ready' : 'degraded';
}

/** The answer of `/readyz`: 503 only while identity or orders cannot serve. */
export function readiness(upstreams: Pick<Upstreams, 'of'>, sentinel: Sentinel, isStopping: boolean) {
  const services: Record<string, ServiceStatus> = {};
  for (const name of serviceNames) services[name] = serviceStatus(upstreams.of(name));
  const state = sentinel.state();
  const canServe = !isStopping && needed.every((name) => services[name] !== 'not_ready');
  const isWhole = Object.values(services).every((it) => it === 'ready') && state !== 'late';
  const status = !canServe ? 'not_ready' : isWhole ? 'ready' : 'degraded';
  return { code: canServe ? 200 : 503, body: { status, services, sentinel: state } };
}

/** The answer of `/v1/system`, as far as it is known by asking each instance for its readiness. */
export function systemStatus(options: {
  upstreams: Pick<Upstreams, 'of'>;
  sentinel: Sentinel;
  versions: Record<string, string | undefined>;
  instance: string;
  startedAt: number;
  rateLimits: 'redis' | 'memory' | 'off';
  open: { streams: number; held: number; sockets: number };
}) {
  const services = serviceNames.map((name) => ({
    name,
    status: serviceStatus(options.upstreams.of(name)),
    version: options.versions[name] ?? null,
    instances: options.upstreams.of(name).map((it) => ({
      name: it.name,
      address: it.url.host,
      status: it.state,
      since: new Date(it.since).toISOString(),
      checks: it.checks,
      open_requests: it.open,
    })),
  }));
  return {
    gateway: {
      instance: options.instance,
      started_at: new Date(options.startedAt).toISOString(),
      node: process.versions.node,
      rate_limits: options.rateLimits,
      open: options.open,
    },
    services,
    sentinel: {
      state: options.sentinel.state(),
      ages: options.sentinel.ages().map(({ stage, instance, ageS }) => ({
        stage,
        instance,
        age_seconds: Math.round(ageS * 1000) / 1000,
      })),
    },
  };
}
