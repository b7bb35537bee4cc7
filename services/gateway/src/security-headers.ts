/** What every answer tells browsers, and the content security policies of the pages. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet from 'helmet';

export type PolicyName = keyof typeof policies;

const policies = {
  /** Data: nothing in it may run, and nobody may frame it. */
  data: "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  /** The page at `/`: its own files and its own origin, nothing inline; text never becomes HTML. */
  page: [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  /** The docs page: the reference sets styles inline, and draws with data and blob URLs. */
  docs: [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
};

/** @param secure whether the outside reaches us by https, so that browsers may be told to insist on it */
export function createSecurityHeaders({ secure }: { secure: boolean }) {
  const middleware = helmet({
    contentSecurityPolicy: false,
    strictTransportSecurity: secure ? { maxAge: 31_536_000 } : false,
    referrerPolicy: { policy: 'no-referrer' },
  });
  return (req: IncomingMessage, res: ServerResponse, policy: PolicyName = 'data'): void => {
    middleware(req, res, () => {});
    res.setHeader('content-security-policy', policies[policy]);
    res.setHeader('permissions-policy', 'camera=(), microphone=(), geolocation=(), payment=()');
  };
}
