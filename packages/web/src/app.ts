/** An Express app with what every service's HTTP has: ids, traces, metrics, probes, problems. */
import { addToContext, runWithContext } from '@ragline/runtime/context';
import type { Health } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { failSpan, openSpan, scopeOf, traceparentOf } from '@ragline/runtime/tracing';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { Api } from './api.ts';
import { problemFrom } from './problem-from.ts';
import { sendProblem } from './problems.ts';
import { stateOf } from './request-state.ts';

export type AppOptions = {
  service: string;
  log: Logger;
  metrics: Metrics;
  health: Health;
  api: Api;
  /** For routes that name none of their own; 1 MiB when not given. */
  bodyLimitBytes?: number;
  /** Whose X-Forwarded-For is believed for `req.ip`; this machine's when not given. */
  trustProxy?: readonly string[];
  /** Adds routes ahead of the probes and the API, which they may replace (the gateway's `/readyz`). */
  routes?: (app: Express) => void;
};

/**
 * Answers `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and the routes of `api`; all else is 404.
 * Whatever is thrown on the way becomes a problem with the request's id.
 */
export function createApp(options: AppOptions): { app: Express } {
  const { log, metrics, health, api } = options;
  if (options.bodyLimitBytes !== undefined) api.limitBodies(options.bodyLimitBytes);

  const app = express();
  app.disable('x-powered-by');
  // Our ETags are versions; Express's own would hash every answer.
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', [...(options.trustProxy ?? ['loopback'])]);

  app.use(begin(log, metrics));
  app.use(apiHeaders);
  options.routes?.(app);
  app.use(probes(metrics, health, api));
  app.use(api.router);
  app.use((req, _res, next) => next(api.notFound(req)));
  app.use(failed(log));
  return { app };
}

const probePaths = new Set(['/healthz', '/readyz', '/metrics']);

/** Gives the request its id, span, context and measure. */
function begin(log: Logger, metrics: Metrics): RequestHandler {
  const durations = metrics.histogram(
    'ragline_http_request_duration_seconds',
    'Time from the request line to the end of the answer.',
    ['method', 'route', 'status'],
  );

  return (req, res, next) => {
    const state = stateOf(req);
    const startedAt = performance.now();
    res.setHeader('x-request-id', state.request_id);

    const span = probePaths.has(req.path)
      ? undefined
      : openSpan(req.method, { kind: 'server', parent: oneOf(req.headers.traceparent) });
    if (span) res.setHeader('traceparent', traceparentOf(span));

    res.once('close', () => {
      const route = state.route ?? routePathOf(req.route);
      // nginx's number for a caller who left: there was no answer to name a status.
      const status = res.writableFinished ? res.statusCode : 499;
      const seconds = (performance.now() - startedAt) / 1000;
      durations.observe({ method: methodLabel(req.method), route, status }, seconds);
      if (span?.isRecording()) {
        span.updateName(`${req.method} ${route}`);
        span.setAttributes({
          'http.request.method': req.method,
          'http.route': route,
          'http.response.status_code': status,
        });
      }
      span?.end();
      log.debug('request', { method: req.method, route, status, ms: Math.round(seconds * 1000) });
    });
    if (span?.isRecording()) state.fail = (error) => failSpan(span, error);
    runWithContext({ request_id: state.request_id, ...(span ? scopeOf(span) : {}) }, next);
  };
}

/** Of helmet's headers those that mean something on an answer that is no page. */
const apiHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  },
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  // The gateway knows whether there is TLS in front; a service does not.
  strictTransportSecurity: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
});

function probes(metrics: Metrics, health: Health, api: Api): express.Router {
  const router = express.Router();
  router.get('/healthz', (_req, res) => {
    res.json({ status: 'alive' });
  });
  router.get('/readyz', async (_req, res) => {
    const readiness = await health.ready();
    res.status(readiness.status === 'ready' ? 200 : 503).json(readiness);
  });
  router.get('/metrics', async (_req, res) => {
    res.setHeader('content-type', metrics.contentType);
    res.end(await metrics.text());
  });
  router.get('/openapi.json', (_req, res) => {
    res.json(api.document());
  });
  return router;
}

/** Express knows an error handler by its four parameters. */
function failed(log: Logger): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    const state = stateOf(req);
    const answer = problemFrom(error);
    // The context may be lost where a library called back: the id is what finds the line again.
    addToContext({ request_id: state.request_id });
    const route = state.route ?? routePathOf(req.route);
    if (answer.status === 500) log.error('request failed', { method: req.method, route, error });
    else if (answer.status > 500) log.warn('request not served', { method: req.method, route, error });
    else if (answer.code === 'invalid' && answer.cause !== undefined) {
      log.warn('a value passed its schema and was refused by the database', { route, error });
    }
    if (answer.status >= 500) state.fail?.(error);
    if (res.headersSent) log.debug('answer cut off', { route, error });
    sendProblem(res, answer, state.request_id);
  };
}

function routePathOf(route: unknown): string {
  const path = typeof route === 'object' && route !== null && 'path' in route ? route.path : undefined;
  return typeof path === 'string' ? path : 'none';
}

function oneOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? undefined : header;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

// Node lets some thirty methods pass, and each would be a series of its own.
function methodLabel(method: string): string {
  return methods.has(method) ? method : 'other';
}
