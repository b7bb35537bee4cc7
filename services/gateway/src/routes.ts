/**
 * Which service answers which path. What is not named here does not exist for the outside:
 * `/internal/*` and the services' own `/metrics`, `/readyz` and `/healthz` are refused by being absent.
 */

export const serviceNames = ['identity', 'orders', 'notifications', 'dead-letters', 'chat'] as const;
export type ServiceName = (typeof serviceNames)[number];

export type Route = {
  /** As it stands in metrics and access logs: few values, no ids. */
  name: string;
  service: ServiceName;
  /**
   * `request`: answered once. `stream`: server-sent events. `socket`: WebSocket upgrades only. `answer`: a request whose
   * answer is being written for minutes, in pieces or at once at its end.
   */
  kind: 'request' | 'stream' | 'socket' | 'answer';
  /** Where the body may be larger than the gateway's limit says. */
  bodyMaxBytes?: number;
};

const documentMaxBytes = 10 * 1024 * 1024;

const prefixes: Route[] = [
  { name: '/v1/auth', service: 'identity', kind: 'request' },
  { name: '/v1/users', service: 'identity', kind: 'request' },
  { name: '/v1/tenants', service: 'identity', kind: 'request' },
  { name: '/v1/products', service: 'orders', kind: 'request' },
  { name: '/v1/promotions', service: 'orders', kind: 'request' },
  { name: '/v1/orders', service: 'orders', kind: 'request' },
  { name: '/v1/notifications', service: 'notifications', kind: 'request' },
  { name: '/v1/notification-preferences', service: 'notifications', kind: 'request' },
  { name: '/v1/webhooks', service: 'notifications', kind: 'request' },
  { name: '/v1/webhook-deliveries', service: 'notifications', kind: 'request' },
  { name: '/v1/dead-letters', service: 'dead-letters', kind: 'request' },
  { name: '/v1/parked-keys', service: 'dead-letters', kind: 'request' },
  { name: '/v1/conversations', service: 'chat', kind: 'request' },
  { name: '/v1/knowledge', service: 'chat', kind: 'request' },
  { name: '/v1/tools', service: 'chat', kind: 'request' },
  { name: '/v1/openai', service: 'chat', kind: 'request' },
];

/** Of a conversation what its requests are not like. */
const ofConversation: Record<string, Route> = {
  messages: { name: '/v1/conversations/{id}/messages', service: 'chat', kind: 'answer' },
  approvals: { name: '/v1/conversations/{id}/approvals', service: 'chat', kind: 'answer' },
  events: { name: '/v1/conversations/{id}/events', service: 'chat', kind: 'stream' },
};

const exact: Route[] = [
  { name: '/.well-known/jwks.json', service: 'identity', kind: 'request' },
  { name: '/v1/events', service: 'notifications', kind: 'stream' },
  { name: '/v1/events/orders', service: 'notifications', kind: 'stream' },
  { name: '/ws', service: 'notifications', kind: 'socket' },
  { name: '/ws/orders', service: 'notifications', kind: 'socket' },
  { name: '/ws/chat', service: 'chat', kind: 'socket' },
  {
    name: '/v1/knowledge/documents',
    service: 'chat',
    kind: 'request',
    bodyMaxBytes: documentMaxBytes,
  },
  { name: '/v1/openai/chat/completions', service: 'chat', kind: 'answer' },
];

/** The route of a plain path (see `plainPath`), or undefined when nobody answers it. */
export function routeOf(path: string): Route | undefined {
  return (
    exact.find(({ name }) => name === path) ??
    ofConversation[/^\/v1\/conversations\/[^/]+\/([a-z]+)(?:\/|$)/.exec(path)?.[1] ?? ''] ??
    prefixes.find(({ name }) => path === name || path.startsWith(`${name}/`))
  );
}

/** True when `path` of a service's own document may be reached from outside. */
export function isPublic(service: ServiceName, path: string): boolean {
  return routeOf(path)?.service === service;
}

const printable = /^[\x21-\x7e]+$/;

/**
 * The path of a request target, decoded; undefined when it is not in origin form, or when it could mean
 * one path here and another to the service behind: dot segments, empty segments, and encoded slashes,
 * backslashes, percent signs, dots in dot segments or control characters.
 */
export function plainPath(target: string): string | undefined {
  if (!printable.test(target) || target.includes('#')) return undefined;
  const raw = target.split('?', 1)[0] ?? '';
  if (!raw.startsWith('/') || raw.includes('\\') || /%(2f|5c|25)/i.test(raw)) return undefined;
  const path = decoded(raw);
  if (path === undefined || hasControlCharacter(path)) return undefined;
  const segments = path.slice(1).split('/');
  // Some servers drop what follows a semicolon, and then see dots alone.
  if (segments.some((segment) => /^\.{1,2}(;|$)/.test(segment))) return undefined;
  // A closing slash is harmless; an empty segment before the end is not.
  if (segments.slice(0, -1).includes('')) return undefined;
  return path;
}

function decoded(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
