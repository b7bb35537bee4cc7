/** Access tokens as identity makes them, and the key set to judge them by, for tests of other services. */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

export const testIssuer = 'ragline';
export const testAudience = 'ragline';

export type TestClaims = {
  user_id?: string;
  tenant_id?: string;
  roles?: string[];
  session_id?: string;
  token_id?: string;
  /** In ms since 1970. */
  issuedAt?: number;
  /** From issuedAt, in ms. */
  lastsMs?: number;
  issuer?: string;
  audience?: string;
  typ?: string;
};

export type SigningKey = { kid: string; privateKey: CryptoKey; publicJwk: JWK };

export async function makeSigningKey(kid: string = randomUUID()): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' };
  return { kid, privateKey, publicJwk };
}

/** An access token; whatever the test does not name is made up and valid. */
export async function signToken(key: SigningKey, claims: TestClaims = {}): Promise<string> {
  const issuedAt = Math.floor((claims.issuedAt ?? Date.now()) / 1000);
  return new SignJWT({
    tenant_id: claims.tenant_id ?? randomUUID(),
    roles: claims.roles ?? ['customer'],
    sid: claims.session_id ?? randomUUID(),
  })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: claims.typ ?? 'at+jwt' })
    .setIssuer(claims.issuer ?? testIssuer)
    .setAudience(claims.audience ?? testAudience)
    .setSubject(claims.user_id ?? randomUUID())
    .setJti(claims.token_id ?? randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + Math.floor((claims.lastsMs ?? 900_000) / 1000))
    .sign(key.privateKey);
}

/** A key set on a port of its own, which a test may change, break or stop. */
export async function startJwks(keys: SigningKey[]) {
  let served = keys;
  let isAway = false;
  let requests = 0;
  const server = http.createServer((_req, res) => {
    requests += 1;
    if (isAway) {
      res.destroy();
      return;
    }
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ keys: served.map(({ publicJwk }) => publicJwk) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    jwksUrl: `http://127.0.0.1:${port}/.well-known/jwks.json`,
    requests: () => requests,
    serve: (others: SigningKey[]): void => {
      served = others;
    },
    setAway: (away: boolean): void => {
      isAway = away;
    },
    async stop(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One key and its key set: `token(claims)` is valid for a service that got `settings`. */
export async function startTokens() {
  const key = await makeSigningKey();
  const jwks = await startJwks([key]);
  return {
    key,
    jwks,
    settings: { jwksUrl: jwks.jwksUrl, issuer: testIssuer, audience: testAudience },
    token: (claims?: TestClaims): Promise<string> => signToken(key, claims),
    stop: jwks.stop,
  };
}
