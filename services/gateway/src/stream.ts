/**
 * Server-sent events through the gateway.
 *
 * An EventSource tries again after a connection that was cut, and gives up for good on any answer but 200. So a
 * stream that cannot be served is never told 502 or 503: it is held until an instance is ready, and cut when
 * that takes too long.
 */
import http from 'node:http';
import { pipeline } from 'node:stream';
import type { Logger } from '@ragline/runtime/logger';
import { answerHeaders } from './headers.ts';
import type { ServiceName } from './routes.ts';
import { type Instance, isRefused, type Upstreams } from './upstreams.ts';

export type StreamJob = {
  service: ServiceName;
  req: http.IncomingMessage;
  res: http.ServerResponse;
  target: string;
  headers: Record<string, string>;
  /** Told which instance the stream is put on. */
  onInstance?: (name: string) => void;
};

export type Streams = ReturnType<typeof createStreams>;

export function createStreams(options: {
  upstreams: Upstreams;
  log: Logger;
  holdMs: number;
  answerWithinMs: number;
  heldMax?: number;
}) {
  const { upstreams, log, holdMs, heldMax = 20_000 } = options;
  const open = new Set<http.ServerResponse>();
  let held = 0;

  /** The next ready instance, or undefined when none came in time or the client left. */
  function ready(job: StreamJob, deadline: number, except: ReadonlySet<Instance>) {
    const instance = upstreams.pickReady(job.service, except);
    if (instance || held >= heldMax || job.res.destroyed) return Promise.resolve(instance);
    return new Promise<Instance | undefined>((resolve) => {
      held += 1;
      const settle = (found: Instance | undefined) => {
        held -= 1;
        clearTimeout(timer);
        unsubscribe();
        job.res.off('close', onClose);
        resolve(found);
      };
      const onClose = () => settle(undefined);
      const timer = setTimeout(() => settle(undefined), Math.max(0, deadline - Date.now()));
      const unsubscribe = upstreams.onChange((changed) => {
        if (changed.service !== job.service || changed.state !== 'ready') return;
        const found = upstreams.pickReady(job.service);
        if (found) settle(found);
      });
      job.res.once('close', onClose);
    });
  }

  return {
    held: () => held,
    open: () => open.size,

    /** Serves one stream to its end. */
    async serve(job: StreamJob): Promise<void> {
      const deadline = Date.now() + holdMs;
      const tried = new Set<Instance>();
      open.add(job.res);
      try {
        for (;;) {
          const instance = await ready(job, deadline, tried);
          if (!instance || job.res.destroyed || Date.now() > deadline) {
            job.res.destroy();
            return;
          }
          instance.open += 1;
          job.onInstance?.(instance.name);
          const outcome = await attempt(instance, job, options.answerWithinMs).finally(() => {
            instance.open -= 1;
          });
          if (outcome === 'served') return;
          log.warn('stream not taken', { upstream: instance.name, why: describe(outcome) });
          if (isRefused(outcome)) upstreams.refused(instance);
          // It said that it is ready and then was not: the others that say so first, then all again.
          tried.add(instance);
          if (upstreams.pickReady(job.service, tried) === undefined) {
            tried.clear();
            await settled(job.res);
          }
        }
      } finally {
        open.delete(job.res);
      }
    },

    /** Cuts all streams: their clients come back, by their own `retry`. */
    cut() {
      for (const res of open) res.destroy();
    },
  };
}

/** One try. Resolves 'served' once the client was answered, else with what stood in the way. */
function attempt(instance: Instance, job: StreamJob, answerWithinMs: number): Promise<unknown> {
  return new Promise((resolve) => {
    const { res } = job;
    const upstream = http.request({
      host: instance.url.hostname,
      port: instance.url.port,
      method: job.req.method,
      path: job.target,
      headers: job.headers,
      agent: false,
      timeout: answerWithinMs,
    });
    const onClose = () => upstream.destroy();
    res.once('close', onClose);
    upstream.once('timeout', () => upstream.destroy(new Error('no answer in time')));
    upstream.once('error', (error) => {
      res.off('close', onClose);
      if (res.headersSent) res.destroy();
      resolve(res.headersSent || res.destroyed ? 'served' : error);
    });
    upstream.once('response', (answer) => {
      const status = answer.statusCode ?? 502;
      if (status >= 500) {
        res.off('close', onClose);
        answer.destroy();
        resolve(`status ${status}`);
        return;
      }
      // Heartbeats every 15 s tell the client whether its stream lives; here silence is no fault.
      upstream.setTimeout(0);
      res.writeHead(status, answerHeaders(answer.headers));
      res.flushHeaders();
      pipeline(answer, res, (error) => {
        res.off('close', onClose);
        if (error) res.destroy();
        resolve('served');
      });
    });
    upstream.end();
  });
}

/** A moment, so that an instance that keeps saying ready and failing is not asked in a tight loop. */
function settled(res: http.ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, 500);
    function done() {
      clearTimeout(timer);
      res.off('close', done);
      resolve();
    }
    res.once('close', done);
  });
}

function describe(outcome: unknown): string {
  return outcome instanceof Error ? outcome.message : String(outcome);
}
