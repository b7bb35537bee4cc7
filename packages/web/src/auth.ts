/** Who is calling: access tokens by identity (JWT, ES256), verified here and in every service alike. */

import { addToContext } from '@ragline/runtime/context';
import type { Logger } from '@ragline/runtime/logger';
import type { Request, RequestHandler } from 'express';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { Passport, type Strategy } from 'passport';
import { createKeySource, type KeySource, type KeySourceOptions, KeysUnavailableError } from './jwks.ts';
import { hasRole, type Principal, type Role, roles } from './principal.ts';
import { type Problem, problem } from './problems.ts';
import { stateOf } from './request-state.ts';
import { createTokenCache } from './token-cache.ts';

export { hasRole, type Principal, type Role } from './principal.ts';

export type AuthenticationOptions = {
  jwksUrl: string;
  issuer: string;
  audience: string;
  log?: Logger;
  /** Instead of fetching jwksUrl: identity has its keys at hand. */
  keys?: KeySource;
  /** What is void although it has not ended: asked for every token, also one that is remembered. */
  isRevoked?: (principal: Principal) => boolean;
  /** When keys are fetched again; see jwks.ts. */
  keyOptions?: Omit<KeySourceOptions, 'jwksUrl'>;
};

export type Authentication = {
  /** Throws Problem `unauthenticated`, or `unavailable` while the keys to judge by were never reached. */
  verify(token: string): Promise<Principal>;
  /** Whether the key of a token that was verified has been taken back since: what is open by it is to be closed. */
  isWithdrawn(principal: Principal): boolean;
  /** Lets only callers with a valid bearer token pass. */
  required: RequestHandler;
};

const tokenLengthMax = 8_192;
const requiredClaims = ['iss', 'aud', 'sub', 'tenant_id', 'roles', 'sid', 'jti', 'iat', 'exp'];
const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function createAuthentication(options: AuthenticationOptions): Authentication {
  const { jwksUrl, issuer, audience, log } = options;
  const keys = options.keys ?? createKeySource({ jwksUrl, ...options.keyOptions });
  const known = createTokenCache();

  const isRevoked = options.isRevoked ?? (() => false);
  const remembered = (token: string): Principal | undefined => {
    const principal = known.get(token);
    if (principal === undefined || isRevoked(principal)) return undefined;
    return keys.stateOf(principal.key_id ?? '') === 'there' ? principal : undefined;
  };

  const verify = async (token: string): Promise<Principal> => {
    const cached = remembered(token);
    if (cached !== undefined) return cached;
    try {
      const principal = await verified(token);
      if (isRevoked(principal)) throw new errors.JWTInvalid('revoked');
      known.set(token, principal);
      return principal;
    } catch (error) {
      if (error instanceof KeysUnavailableError) {
        throw problem('unavailable', 'Access tokens cannot be verified at the moment.', { cause: error });
      }
      // The caller learns nothing of the reason: it would tell an attacker which step was passed.
      log?.debug('token refused', { error });
      throw unauthenticated();
    }
  };

  const verified = async (token: string): Promise<Principal> => {
    if (token.length > tokenLengthMax) throw new errors.JWTInvalid('too long');
    const { payload, protectedHeader } = await jwtVerify(
      token,
      async (header, jws) => {
        const key = await keys.keyFor(header, jws);
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        return key;
      },
      { algorithms: ['ES256'], typ: 'at+jwt', issuer, audience, requiredClaims },
    );
    return { ...principalFrom(payload), ...(protectedHeader.kid && { key_id: protectedHeader.kid }) };
  };

  return {
    verify,
    isWithdrawn: ({ key_id }) => key_id !== undefined && keys.stateOf(key_id) === 'withdrawn',
    required: bearerRequired(verify, remembered),
  };
}

/** The caller of a request that `required` let pass. */
export function principalOf(req: Request): Principal {
  const { principal } = stateOf(req);
  if (principal === undefined) throw unauthenticated();
  return principal;
}

/** Lets pass who has the role; comes after `required`. */
export function requireRole(role: Role): RequestHandler {
  return (req, _res, next) => next(hasRole(principalOf(req), role) ? undefined : problem('forbidden'));
}

/** passport with one strategy of ours: the known ones for JWT cannot be told all that is checked here. */
function bearerRequired(
  verify: (token: string) => Promise<Principal>,
  cached: (token: string) => Principal | undefined,
): RequestHandler {
  const strategy: Strategy & { name: string } = {
    name: 'bearer',
    authenticate(req) {
      const token = bearerFrom(req.headers.authorization);
      if (token === undefined) return this.fail(undefined);
      const principal = cached(token);
      if (principal !== undefined) return this.success(principal);
      verify(token).then(
        (found) => this.success(found),
        (error: unknown) => this.error(error),
      );
    },
  };
  const passport = new Passport().use(strategy);

  return (req, res, next) => {
    const done = (error: unknown, principal?: unknown) => {
      if (error !== null && error !== undefined) return next(error);
      if (!isPrincipal(principal)) return next(unauthenticated());
      stateOf(req).principal = principal;
      addToContext({ tenant_id: principal.tenant_id, user_id: principal.user_id });
      next();
    };
    passport.authenticate('bearer', { session: false }, done)(req, res, next);
  };
}

/** The token of an Authorization header (RFC 6750); undefined when it has none. */
export function bearerFrom(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +([\w-]+\.[\w-]+\.[\w-]+) *$/i.exec(header)?.[1];
}

function principalFrom(claims: JWTPayload): Principal {
  const { sub, tenant_id, roles: held, sid, jti, iat, exp } = claims;
  if (!isUuid(sub) || !isUuid(tenant_id) || !isText(sid) || !isText(jti)) throw new errors.JWTInvalid('ids');
  if (iat === undefined || exp === undefined || !Array.isArray(held)) throw new errors.JWTInvalid('claims');
  const known = roles.filter((role) => held.includes(role));
  if (known.length === 0) throw new errors.JWTInvalid('no role');
  return {
    user_id: sub,
    tenant_id,
    roles: known,
    session_id: sid,
    token_id: jti,
    issued_at: iat * 1000,
    expires_at: exp * 1000,
  };
}

function unauthenticated(): Problem {
  return problem('unauthenticated', 'Send a valid access token as `Authorization: Bearer …`.');
}

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 128;
const isUuid = (value: unknown): value is string => typeof value === 'string' && uuidShape.test(value);
const isPrincipal = (value: unknown): value is Principal =>
  typeof value === 'object' && value !== null && 'user_id' in value && 'expires_at' in value;
