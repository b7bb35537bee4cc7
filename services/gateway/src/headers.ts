/**
 * Which headers pass. Requests go by a list of what may pass: a header that no service reads cannot be
 * used against one. Answers go by a list of what may not: services may add headers of their own.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

const passedOn = [
  'accept',
  'accept-language',
  'authorization',
  'content-type',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'last-event-id',
  'origin',
  'prefer',
  'user-agent',
  'sec-fetch-site',
  'sec-fetch-mode',
  'sec-fetch-dest',
] as const;

const passedOnToSockets = [
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
] as const;

/** Headers of which a second copy could be read by one server and the first by another. */
const single = [
  'host',
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'idempotency-key',
  'if-match',
  'origin',
  'cookie',
  'last-event-id',
  'sec-websocket-key',
] as const;

const notAnswered = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'server',
  'x-powered-by',
  'content-security-policy',
  'strict-transport-security',
  'x-frame-options',
  'x-content-type-options',
  'x-request-id',
]);

export type Forwarded = {
  requestId: string;
  traceparent: string;
  address: string;
  host: string;
  secure: boolean;
};

/** The headers of the request to a service, without those that frame its body. */
export function requestHeaders(
  req: IncomingMessage,
  forwarded: Forwarded,
  options: { cookies: boolean; socket?: boolean },
): Record<string, string> {
  const connection = namedInConnection(req.headers);
  const headers: Record<string, string> = {};
  const names = options.socket ? [...passedOn, ...passedOnToSockets] : passedOn;
  for (const name of names) {
    const value = req.headers[name];
    if (typeof value === 'string' && !connection.has(name)) headers[name] = value;
  }
  if (options.cookies && req.headers.cookie !== undefined) headers.cookie = req.headers.cookie;
  headers['x-request-id'] = forwarded.requestId;
  headers.traceparent = forwarded.traceparent;
  // Whatever a client claims here is gone: these say what the gateway itself saw.
  headers['x-forwarded-for'] = forwarded.address;
  headers['x-forwarded-host'] = forwarded.host;
  headers['x-forwarded-proto'] = forwarded.secure ? 'https' : 'http';
  return headers;
}

/** The headers of a service's answer that the client gets. */
export function answerHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const connection = namedInConnection(headers);
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || notAnswered.has(name) || connection.has(name)) continue;
    passed[name] = value;
  }
  return passed;
}

/** The first header that is there twice although two copies could be read differently. */
export function doubledHeader(req: IncomingMessage): string | undefined {
  return single.find((name) => (req.headersDistinct[name]?.length ?? 0) > 1);
}

function namedInConnection(headers: IncomingHttpHeaders): Set<string> {
  const value = headers.connection;
  return new Set(value === undefined ? [] : value.split(',').map((name) => name.trim().toLowerCase()));
}
