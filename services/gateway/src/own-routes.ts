/** What the gateway answers itself, but for files. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '@ragline/runtime/logger';
import { type Span, traceparentOf } from '@ragline/runtime/tracing';
import { type Authentication, bearerFrom, hasRole } from '@ragline/web/auth';
import { problem } from '@ragline/web/problems';
import { sendJson } from './answer.ts';
import { type Held, held, sendFile } from './files.ts';
import type { Json } from './openapi.ts';
import type { readiness } from './status.ts';
import { traceEvent } from './trace.ts';
import type { Upstreams } from './upstreams.ts';

export type OwnRoutes = ReturnType<typeof createOwnRoutes>;

type Visit = { path: string; requestId: string; span: Span };

const tracePath = /^\/v1\/events\/([^/]+)\/trace$/;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const paths = new Set(['/healthz', '/readyz', '/openapi.json', '/asyncapi.json', '/v1/system']);

export function createOwnRoutes(options: {
  upstreams: Upstreams;
  authentication: Authentication;
  log: Logger;
  ready: () => ReturnType<typeof readiness>;
  system: () => Json;
}) {
  const { upstreams, authentication, log } = options;
  const documents = new Map<string, Held>();

  async function principalOf(req: IncomingMessage) {
    const token = bearerFrom(req.headers.authorization);
    if (token === undefined)
      throw problem('unauthenticated', 'Send a valid access token as `Authorization: Bearer …`.');
    return authentication.verify(token);
  }

  async function system(req: IncomingMessage, res: ServerResponse) {
    if (!hasRole(await principalOf(req), 'operator')) throw problem('forbidden');
    sendJson(res, 200, options.system());
  }

  async function trace(req: IncomingMessage, res: ServerResponse, eventId: string, visit: Visit) {
    const principal = await principalOf(req);
    if (!hasRole(principal, 'staff') && !hasRole(principal, 'operator')) throw problem('forbidden');
    if (!uuid.test(eventId)) throw problem('not_found');
    const headers = {
      authorization: req.headers.authorization ?? '',
      'x-request-id': visit.requestId,
      traceparent: traceparentOf(visit.span),
    };
    sendJson(res, 200, await traceEvent({ upstreams, log, eventId: eventId.toLowerCase(), headers }));
  }

  return {
    has: (path: string): boolean => paths.has(path) || tracePath.test(path),
    nameOf: (path: string): string => (tracePath.test(path) ? '/v1/events/{event_id}/trace' : path),

    /** Makes a document that is served as it is from now on. */
    setDocument(path: '/openapi.json' | '/asyncapi.json', document: Json): void {
      documents.set(path, held(Buffer.from(JSON.stringify(document)), 'application/json; charset=utf-8'));
    },

    /** Answers if the path is one of its own; false otherwise. */
    async answer(req: IncomingMessage, res: ServerResponse, visit: Visit): Promise<boolean> {
      const { path } = visit;
      const traced = tracePath.exec(path)?.[1];
      if (!paths.has(path) && traced === undefined) return false;
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        throw problem('method_not_allowed', undefined, { headers: { allow: 'GET, HEAD' } });
      }
      if (traced !== undefined) await trace(req, res, traced, visit);
      else if (path === '/healthz') sendJson(res, 200, { status: 'ok' });
      else if (path === '/v1/system') await system(req, res);
      else if (path === '/readyz') {
        const { code, body } = options.ready();
        sendJson(res, code, body);
      } else {
        const document = documents.get(path);
        if (!document) throw problem('not_found');
        await sendFile(req, res, document);
      }
      return true;
    },
  };
}
