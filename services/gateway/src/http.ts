/** Every request and upgrade: checked, counted, traced, then answered here or passed to a service. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { addToContext, runWithContext } from '@ragline/runtime/context';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { openSpan, type Span, scopeOf, traceparentOf } from '@ragline/runtime/tracing';
import { type Authentication, bearerFrom } from '@ragline/web/auth';
import { Problem, problem, sendProblem } from '@ragline/web/problems';
import { requestIdFrom } from '@ragline/web/request-state';
import { closingProblem, refuseSocket } from './answer.ts';
import type { BodyReader } from './body.ts';
import type { Files } from './files.ts';
import { forwardRequest } from './forward.ts';
import { doubledHeader, requestHeaders } from './headers.ts';
import type { RateLimits } from './limits.ts';
import type { OwnRoutes } from './own-routes.ts';
import { plainPath, type Route, routeOf } from './routes.ts';
import type { createSecurityHeaders } from './security-headers.ts';
import type { Streams } from './stream.ts';
import type { Tunnels } from './tunnel.ts';
import type { Upstreams } from './upstreams.ts';

type Parts = {
  log: Logger;
  metrics: Metrics;
  upstreams: Upstreams;
  streams: Streams;
  tunnels: Tunnels;
  bodies: BodyReader;
  files: Files;
  own: OwnRoutes;
  limits: RateLimits;
  authentication: Authentication;
  securityHeaders: ReturnType<typeof createSecurityHeaders>;
  secure: boolean;
  /** How long an answer may take that is written for a while. */
  answerWithinMs: number;
};

/** What is known of one request while it lasts. */
type Visit = {
  requestId: string;
  span: Span;
  startedAt: number;
  method: string;
  path: string | undefined;
  route: string;
  address: string;
  upstream?: string | undefined;
};

// Asked by supervisors all the time.
const probes = new Set(['/healthz', '/readyz']);
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export function createHttp(parts: Parts) {
  const { log, metrics, upstreams, streams, tunnels, bodies, files, own, limits } = parts;
  const duration = metrics.histogram(
    'ragline_http_request_duration_seconds',
    'From the first byte of a request to the last of its answer, by route.',
    ['method', 'route', 'status'],
  );

  const onRequest: RequestListener = (req, res) => {
    const path = plainPath(req.url ?? '');
    const route = path === undefined ? undefined : routeOf(path);
    const visit = begin(req, path, nameOf(path, route));
    runWithContext({ ...scopeOf(visit.span), request_id: visit.requestId }, () => {
      const ended = () => end(visit, res.headersSent ? res.statusCode : 499, res.writableFinished);
      // The socket's events know nothing of the request; its log line should.
      res.once('close', AsyncLocalStorage.bind(ended));
      parts.securityHeaders(req, res, path === undefined ? 'data' : files.policyOf(path));
      res.setHeader('x-request-id', visit.requestId);
      res.setHeader('traceparent', traceparentOf(visit.span));
      answer(req, res, visit, route).catch((error: unknown) => fail(res, visit, error));
    });
  };

  async function answer(req: IncomingMessage, res: ServerResponse, visit: Visit, route: Route | undefined) {
    const bodyFault = bodies.refusalOf(req, route?.bodyMaxBytes);
    if (bodyFault) throw bodyFault;
    const fault = faultOf(req);
    if (fault) throw fault;
    if (visit.path === undefined) throw problem('not_found');
    if (!probes.has(visit.path)) await admit(req, visit);
    if (await own.answer(req, res, { path: visit.path, requestId: visit.requestId, span: visit.span }))
      return;
    if (files.has(visit.path)) {
      await files.send(req, res, visit.path);
      return;
    }
    if (!route) throw problem('not_found');
    if (route.kind === 'socket') {
      res.setHeader('upgrade', 'websocket');
      throw problem('malformed', 'This address is for WebSocket connections.');
    }
    if (route.kind === 'stream' && (req.method === 'GET' || req.method === 'HEAD')) {
      const headers = requestHeaders(req, forwardedOf(req, visit), { cookies: true });
      const job = { service: route.service, req, res, target: req.url ?? '', headers };
      await streams.serve({ ...job, onInstance: noted(visit) });
      return;
    }
    await forward(req, res, visit, route);
  }

  async function forward(req: IncomingMessage, res: ServerResponse, visit: Visit, route: Route) {
    if (req.headers.expect !== undefined) res.writeContinue();
    const read = await bodies.read(req, route.bodyMaxBytes);
    if ('gone' in read) return;
    if ('refusal' in read) throw read.refusal;
    try {
      await forwardRequest(upstreams, log, {
        service: route.service,
        req,
        res,
        target: req.url ?? '',
        headers: requestHeaders(req, forwardedOf(req, visit), { cookies: false }),
        body: read.body,
        requestId: visit.requestId,
        onInstance: noted(visit),
        ...(route.kind === 'answer' && { withinMs: parts.answerWithinMs }),
      });
    } finally {
      read.release();
    }
  }

  function onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = plainPath(req.url ?? '');
    const route = path === undefined ? undefined : routeOf(path);
    const visit = begin(req, path, nameOf(path, route));
    socket.on('error', () => socket.destroy());
    runWithContext({ ...scopeOf(visit.span), request_id: visit.requestId }, () => {
      upgrade(req, socket, head, visit, route).then(
        (status) => end(visit, status, true),
        (error: unknown) => {
          const shown = problemFrom(error, visit);
          refuseSocket(socket, shown, visit.requestId);
          end(visit, shown.status, true);
        },
      );
    });
  }

  async function upgrade(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    visit: Visit,
    route: Route | undefined,
  ) {
    const fault = faultOf(req);
    if (fault) throw fault;
    if (route?.kind !== 'socket') throw problem('not_found');
    if (req.method !== 'GET' || req.httpVersion !== '1.1')
      throw problem('malformed', 'A socket begins with GET.');
    if (req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined) {
      throw problem('malformed', 'A handshake has no body.');
    }
    if (!/^[A-Za-z0-9+/]{22}==$/.test(req.headers['sec-websocket-key'] ?? '')) {
      throw problem('malformed', 'Sec-WebSocket-Key is missing or wrong.');
    }
    await admit(req, visit);
    const served = await tunnels.serve({
      service: route.service,
      socket,
      head,
      target: req.url ?? '',
      headers: requestHeaders(req, forwardedOf(req, visit), { cookies: false, socket: true }),
      requestId: visit.requestId,
      onOpen: () => log.info('socket opened', { path: visit.path, address: visit.address }),
    });
    visit.upstream = served.instance?.name;
    return served.status;
  }

  function begin(req: IncomingMessage, path: string | undefined, route: string): Visit {
    const method = req.method ?? '';
    const span = openSpan(`${method} ${route}`, {
      kind: 'server',
      parent: req.headers.traceparent?.toString(),
      attributes: { 'http.request.method': method, 'http.route': route },
    });
    return {
      requestId: requestIdFrom(req.headers['x-request-id']),
      span,
      startedAt: performance.now(),
      method,
      path,
      route,
      address: req.socket.remoteAddress ?? '',
    };
  }

  function end(visit: Visit, status: number, whole: boolean): void {
    const seconds = (performance.now() - visit.startedAt) / 1000;
    duration.observe({ method: known(visit.method), route: visit.route, status: String(status) }, seconds);
    if (visit.span.isRecording()) visit.span.setAttribute('http.response.status_code', status);
    visit.span.end();
    // Never the query: tickets and cursors travel there.
    const { method, path, route, address, upstream } = visit;
    const fields = { method, path: path?.slice(0, 200), route, status, address, upstream, whole };
    const level = probes.has(visit.path ?? '') ? 'debug' : status >= 500 ? 'warn' : 'info';
    log[level]('request', { ...fields, duration_ms: Math.round(seconds * 10_000) / 10 });
  }

  /** Lets a request in, or throws `rate_limited`. The tenant is known only by a token that is valid. */
  async function admit(req: IncomingMessage, visit: Visit): Promise<void> {
    if (!limits.enabled) return;
    const token = bearerFrom(req.headers.authorization);
    const principal =
      token === undefined ? undefined : await parts.authentication.verify(token).catch(() => undefined);
    if (principal) addToContext({ tenant_id: principal.tenant_id });
    const waitS = await limits.excess(visit.address, principal?.tenant_id);
    if (waitS === undefined) return;
    throw problem('rate_limited', `Too many requests; try again in ${waitS} s.`, {
      headers: { 'retry-after': String(waitS) },
    });
  }

  function fail(res: ServerResponse, visit: Visit, error: unknown): void {
    sendProblem(res, problemFrom(error, visit), visit.requestId);
  }

  function problemFrom(error: unknown, visit: Visit): Problem {
    if (error instanceof Problem) return error;
    log.error('request failed', { error, path: visit.path });
    return problem('internal');
  }

  function forwardedOf(req: IncomingMessage, visit: Visit) {
    return {
      requestId: visit.requestId,
      traceparent: traceparentOf(visit.span),
      address: visit.address,
      host: req.headers.host ?? '',
      secure: parts.secure,
    };
  }

  function nameOf(path: string | undefined, route: Route | undefined): string {
    if (route) return route.name;
    return path !== undefined && (files.has(path) || own.has(path)) ? own.nameOf(path) : 'other';
  }

  return {
    onRequest,
    onUpgrade,
    takesUpgrade: (req: IncomingMessage): boolean =>
      req.headers.upgrade?.toLowerCase() === 'websocket' &&
      routeOf(plainPath(req.url ?? '') ?? '')?.kind === 'socket',
  };
}

/** What two servers could understand differently, or is no business of services. */
function faultOf(req: IncomingMessage): Problem | undefined {
  if (!methods.has(req.method ?? '')) return problem('method_not_allowed');
  if (req.httpVersion !== '1.0' && req.headers.host === undefined) {
    return closingProblem('malformed', 'The Host header is missing.');
  }
  if (req.headers.host !== undefined && !/^[A-Za-z0-9._:[\]-]{0,255}$/.test(req.headers.host)) {
    return closingProblem('malformed', 'The Host header is wrong.');
  }
  const doubled = doubledHeader(req);
  return doubled === undefined
    ? undefined
    : closingProblem('malformed', `The header ${doubled} is there twice.`);
}

/** For the access log, which is written when the answer ends. */
function noted(visit: Visit): (name: string) => void {
  return (name) => {
    visit.upstream = name;
  };
}

/** A method as a label: whatever is sent must not make new ones. */
function known(method: string): string {
  return methods.has(method) ? method : 'other';
}
