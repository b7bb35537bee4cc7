/**
 * The instances of the services, and which of them may be sent work.
 *
 * Each instance is asked for `/readyz` all the time, and one that refuses a connection is left out at once.
 */
import type { Logger } from '@ragline/runtime/logger';
import { Agent, Pool } from 'undici';
import type { ServiceName } from './routes.ts';

/**
 * `ready`: takes work. `not_ready`: answers, and says that it should get none. `down`: does not answer.
 */
export type InstanceState = 'ready' | 'not_ready' | 'down';

export type Instance = {
  name: string;
  service: ServiceName;
  url: URL;
  state: InstanceState;
  /** ms since the epoch */
  since: number;
  checks: Record<string, string>;
  /** Open requests, streams and sockets. */
  open: number;
  failedPolls: number;
  pool: Pool;
};

export type Upstreams = Awaited<ReturnType<typeof startUpstreams>>;

type Options = {
  urls: Record<ServiceName, string[]>;
  pollEveryMs: number;
  upstreamTimeoutMs: number;
  log: Logger;
};

const pollTimeoutMs = 2_000;
// A busy machine may miss one poll; a process that is gone refuses, which counts at once.
const failedPollsMax = 2;
const connectionsPerInstance = 256;
// Its answers are written for a while, and each holds a connection: the next one must not wait for them.
const connectionsPerWriter = 8_192;

/** Asks every instance once, then goes on asking in the background. */
export async function startUpstreams(options: Options) {
  const byService: Record<ServiceName, Instance[]> = {
    identity: instancesOf('identity', options),
    orders: instancesOf('orders', options),
    notifications: instancesOf('notifications', options),
    'dead-letters': instancesOf('dead-letters', options),
    chat: instancesOf('chat', options),
  };
  const all = Object.values(byService).flat();
  const polling = new Agent({ headersTimeout: pollTimeoutMs, bodyTimeout: pollTimeoutMs, connections: 1 });
  const listeners = new Set<(instance: Instance) => void>();
  let turn = 0;
  let stopped = false;

  function setState(instance: Instance, state: InstanceState, checks: Record<string, string> = {}) {
    instance.checks = checks;
    if (instance.state === state) return;
    options.log.info('instance state changed', { upstream: instance.name, from: instance.state, to: state });
    instance.state = state;
    instance.since = Date.now();
    for (const listener of [...listeners]) listener(instance);
  }

  async function poll(instance: Instance) {
    try {
      const answer = await polling.request({ origin: instance.url.origin, path: '/readyz', method: 'GET' });
      const text = await answer.body.text();
      instance.failedPolls = 0;
      setState(instance, answer.statusCode === 200 ? 'ready' : 'not_ready', checksOf(text));
    } catch (error) {
      instance.failedPolls += 1;
      if (isRefused(error) || instance.failedPolls >= failedPollsMax) setState(instance, 'down');
    }
  }

  async function pollForEver(instance: Instance) {
    while (!stopped) {
      await pause(options.pollEveryMs);
      if (!stopped) await poll(instance);
    }
  }

  const timers = new Set<{ timer: NodeJS.Timeout; done: () => void }>();
  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const entry = {
        timer: setTimeout(() => {
          timers.delete(entry);
          resolve();
        }, ms),
        done: resolve,
      };
      timers.add(entry);
    });
  }

  await Promise.all(all.map(poll));
  const loops = all.map(pollForEver);

  return {
    all,
    of: (service: ServiceName): readonly Instance[] => byService[service],

    /**
     * The instance for the next request: the ready one with the least open, in turn among equals. With none
     * ready, one that at least answers: it knows better than we whether this very request can be served.
     */
    pick(service: ServiceName, except: ReadonlySet<Instance> = new Set()): Instance | undefined {
      const left = byService[service].filter((it) => !except.has(it));
      const ready = left.filter((it) => it.state === 'ready');
      turn += 1;
      return leastOpen(ready.length > 0 ? ready : left.filter((it) => it.state === 'not_ready'), turn);
    },

    /** As `pick`, but a ready one or none: for streams and sockets, which stay where they are put. */
    pickReady(service: ServiceName, except: ReadonlySet<Instance> = new Set()): Instance | undefined {
      turn += 1;
      return leastOpen(
        byService[service].filter((it) => it.state === 'ready' && !except.has(it)),
        turn,
      );
    },

    /** Told by whoever was refused a connection; the next successful poll takes it back. */
    refused(instance: Instance) {
      setState(instance, 'down');
    },

    /** Calls `listener` after each change of an instance's state; returns how to stop that. */
    onChange(listener: (instance: Instance) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    async stop() {
      stopped = true;
      for (const { timer, done } of timers) {
        clearTimeout(timer);
        done();
      }
      await polling.destroy();
      await Promise.all(loops);
      await Promise.all(all.map((it) => it.pool.destroy()));
    },
  };
}

/** True when no connection came about, so that no byte of the request can have been acted on. */
export function isRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isRefused);
  if (!('code' in error)) return false;
  return error.code === 'ECONNREFUSED' || error.code === 'UND_ERR_CONNECT_TIMEOUT';
}

function leastOpen(instances: Instance[], turn: number): Instance | undefined {
  let best: Instance | undefined;
  for (let i = 0; i < instances.length; i++) {
    const next = instances[(i + turn) % instances.length];
    if (next && (!best || next.open < best.open)) best = next;
  }
  return best;
}

function instancesOf(service: ServiceName, options: Options): Instance[] {
  return options.urls[service].map((text, index) => {
    const url = new URL(text);
    return {
      name: `${service}-${index + 1}`,
      service,
      url,
      state: 'down',
      since: Date.now(),
      checks: {},
      open: 0,
      failedPolls: 0,
      pool: new Pool(url.origin, {
        connections: service === 'chat' ? connectionsPerWriter : connectionsPerInstance,
        connect: { timeout: 2_000, noDelay: true },
        headersTimeout: options.upstreamTimeoutMs,
        bodyTimeout: options.upstreamTimeoutMs,
        allowH2: false,
      }),
    };
  });
}

function checksOf(text: string): Record<string, string> {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== 'object' || body === null || !('checks' in body)) return {};
    if (typeof body.checks !== 'object' || body.checks === null) return {};
    return Object.fromEntries(Object.entries(body.checks).map(([name, value]) => [name, String(value)]));
  } catch {
    return {};
  }
}
