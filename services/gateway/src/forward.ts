/**
 * Passes one request to an instance of a service, and its answer back.
 *
 * The request is written anew from what was understood of it: method, path, listed headers, and a body whose
 * length was counted here. The answer streams through; a slow client holds up the service's socket.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '@ragline/runtime/logger';
import { problem, sendProblem } from '@ragline/web/problems';
import type { Dispatcher } from 'undici';
import { answerHeaders } from './headers.ts';
import type { ServiceName } from './routes.ts';
import { type Instance, isRefused, type Upstreams } from './upstreams.ts';

export type ForwardJob = {
  service: ServiceName;
  req: IncomingMessage;
  res: ServerResponse;
  target: string;
  headers: Record<string, string>;
  body: Buffer;
  requestId: string;
  /** To the first byte of the answer, and from one piece of it to the next; as for all requests when not given. */
  withinMs?: number;
  /** Told which instance is asked, before it is. */
  onInstance?: (name: string) => void;
};

/** Resolves once the answer has ended, one way or the other. */
export async function forwardRequest(upstreams: Upstreams, log: Logger, job: ForwardJob): Promise<void> {
  const refusing = new Set<Instance>();
  for (;;) {
    const instance = upstreams.pick(job.service, refusing);
    if (!instance) {
      unavailable(job, 'cannot be reached');
      return;
    }
    instance.open += 1;
    job.onInstance?.(instance.name);
    const failure = await exchange(instance, job).finally(() => {
      instance.open -= 1;
    });
    if (failure === undefined) return;
    if (isRefused(failure)) upstreams.refused(instance);
    log.warn('upstream failed', { upstream: instance.name, error: failure });
    if (job.res.headersSent || job.res.destroyed) {
      // Half an answer cannot be taken back, but it can be seen to be half.
      job.res.destroy();
      return;
    }
    // Nobody but a refused GET may be asked twice: anything else may have had its effect already.
    if (!isRefused(failure) || (job.req.method !== 'GET' && job.req.method !== 'HEAD')) {
      unavailable(job, 'gave no answer');
      return;
    }
    refusing.add(instance);
  }
}

function unavailable(job: ForwardJob, what: string): void {
  sendProblem(job.res, problem('unavailable', `The ${job.service} service ${what}.`), job.requestId);
}

/** One try; resolves with the error of the upstream, or with nothing when the exchange is over. */
function exchange(instance: Instance, job: ForwardJob): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const { req, res } = job;
    let controller: Dispatcher.DispatchController | undefined;
    let isOver = false;
    const settle = (error?: Error) => {
      if (isOver) return;
      isOver = true;
      res.off('drain', onDrain).off('close', onClose);
      resolve(error);
    };
    const onDrain = () => controller?.resume();
    const onClose = () => {
      if (!isOver && !res.writableFinished) controller?.abort(new Error('the client went away'));
      settle();
    };
    // Registered before the request leaves: a client may be gone before the answer begins.
    res.on('drain', onDrain).on('close', onClose);
    const options: Dispatcher.DispatchOptions = {
      method: req.method ?? 'GET',
      path: job.target,
      headers: job.headers,
      body: job.body.length > 0 ? job.body : null,
      ...(job.withinMs !== undefined && { headersTimeout: job.withinMs, bodyTimeout: job.withinMs }),
    };
    instance.pool.dispatch(options, {
      onRequestStart(it) {
        controller = it;
        if (res.destroyed) it.abort(new Error('the client went away'));
      },
      onResponseStart(_controller, status, headers) {
        if (status < 200) return;
        res.writeHead(status, answerHeaders(headers));
        // Whoever reads a stream wants to know that it began, before there is anything in it.
        if (isEventStream(headers['content-type'])) res.flushHeaders();
      },
      onResponseData(it, chunk) {
        if (!res.write(chunk)) it.pause();
      },
      onResponseEnd() {
        res.end();
        if (res.writableFinished || res.destroyed) settle();
        else res.once('finish', () => settle());
      },
      onResponseError(_controller, error) {
        settle(error);
      },
    });
  });
}

const isEventStream = (type: string | string[] | undefined): boolean =>
  typeof type === 'string' && /^text\/event-stream\b/i.test(type);
