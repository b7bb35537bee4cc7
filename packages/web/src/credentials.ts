/** Who opens a socket or a stream: by bearer token, by a ticket of one use, or by a stream's own cookie. */
import type { IncomingMessage } from 'node:http';
import { type Authentication, bearerFrom, type Principal } from './auth.ts';
import { Problem, problem } from './problems.ts';
import type { Revocations } from './revocations.ts';

export type Caller = {
  principal: Principal;
  token: string;
  /** Came by a ticket: a stream then gets a cookie, since its ticket is used up. */
  isTicketed: boolean;
};

export type Credentials = ReturnType<typeof createCredentials>;

/** The sub-protocol of a socket that carries its token, beside the one that is spoken. */
export const bearerProtocol = 'ragline.bearer.';
const redeemWithinMs = 3_000;

export function createCredentials(parts: {
  authentication: Pick<Authentication, 'verify'>;
  revocations: Pick<Revocations, 'isRevoked'>;
  identityUrl: string;
  allowedOrigins: string[];
  /** Under which streams keep their token. */
  cookieName: string;
}) {
  const { authentication, revocations, identityUrl, allowedOrigins, cookieName } = parts;

  async function verify(token: string): Promise<Principal> {
    const principal = await authentication.verify(token);
    if (revocations.isRevoked(principal)) throw problem('unauthenticated', 'This access token was revoked.');
    return principal;
  }

  /** Throws `unauthenticated` for a ticket that is not good, `unavailable` when identity cannot say. */
  async function redeem(ticket: string): Promise<string> {
    let answer: Response;
    try {
      answer = await fetch(`${identityUrl.replace(/\/+$/, '')}/internal/tickets/redeem`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ticket }),
        signal: AbortSignal.timeout(redeemWithinMs),
      });
    } catch (cause) {
      throw problem('unavailable', 'Tickets cannot be redeemed at the moment.', { cause });
    }
    if (answer.status >= 500) throw problem('unavailable', 'Tickets cannot be redeemed at the moment.');
    const body: unknown = await answer.json().catch(() => undefined);
    if (answer.status === 200 && typeof body === 'object' && body !== null && 'access_token' in body) {
      if (typeof body.access_token === 'string') return body.access_token;
    }
    throw problem('unauthenticated', 'The ticket is not valid, or was used already.');
  }

  async function byTicket(ticket: string): Promise<Caller> {
    if (ticket.length > 512) throw problem('unauthenticated');
    const token = await redeem(ticket);
    return { principal: await verify(token), token, isTicketed: true };
  }

  const byToken = async (token: string): Promise<Caller> => ({
    principal: await verify(token),
    token,
    isTicketed: false,
  });

  return {
    verify,
    /** Asked again at the moment in which a connection begins: others' answers were waited for since. */
    isRevoked: revocations.isRevoked,

    /** Throws Problem `forbidden` for a page that is not on the list. Programs send no Origin. */
    checkOrigin({ headers: { origin } }: IncomingMessage): void {
      if (origin !== undefined && !allowedOrigins.includes(origin)) {
        throw problem('forbidden', 'This origin is not on the list of those that may connect.');
      }
    },

    /** Throws Problem `unauthenticated` or `unavailable`. */
    async ofSocket(req: IncomingMessage, url: URL): Promise<Caller> {
      const token =
        bearerFrom(req.headers.authorization) ?? protocolToken(req.headers['sec-websocket-protocol']);
      if (token !== undefined) return byToken(token);
      const ticket = url.searchParams.get('ticket');
      if (ticket !== null) return byTicket(ticket);
      throw problem('unauthenticated');
    },

    /** Throws Problem `unauthenticated` or `unavailable`. */
    async ofStream(req: IncomingMessage, url: URL): Promise<Caller> {
      const token = bearerFrom(req.headers.authorization);
      if (token !== undefined) return byToken(token);
      const ticket = url.searchParams.get('ticket');
      const cookie = cookieToken(req.headers.cookie, cookieName);
      if (ticket === null) {
        if (cookie === undefined) throw problem('unauthenticated');
        return byToken(cookie);
      }
      try {
        return await byTicket(ticket);
      } catch (error) {
        // An EventSource reconnects with the same URL, whose ticket is used up by then: the cookie stands in.
        if (cookie === undefined || !(error instanceof Problem)) throw error;
        return byToken(cookie);
      }
    },
  };
}

/** The cookie that lets a plain EventSource come back: for streams below the path alone, as long as the token lasts. */
export function streamCookie(
  { token, principal }: Caller,
  at: { name: string; path: string; now: number; isSecure: boolean },
): string {
  const maxAge = Math.max(0, Math.floor((principal.expires_at - at.now) / 1000));
  const secure = at.isSecure ? '; Secure' : '';
  return `${at.name}=${token}; Path=${at.path}; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`;
}

function cookieToken(header: string | undefined, cookieName: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const [name, value] = pair.split('=', 2);
    if (name?.trim() === cookieName && value !== undefined) return value.trim();
  }
  return undefined;
}

function protocolToken(header: string | undefined): string | undefined {
  const offered = header?.split(',').map((it) => it.trim());
  return offered?.find((it) => it.startsWith(bearerProtocol))?.slice(bearerProtocol.length);
}
