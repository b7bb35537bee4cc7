/** Access tokens as identity makes them, and a key set to judge them by, for servers under measurement. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export const issuer = 'ragline';
export const audience = 'ragline';

export type BenchTokens = Awaited<ReturnType<typeof startTokens>>;

/** Serves one ES256 key on a free port, and signs with it. */
export async function startTokens() {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const kid = randomUUID();
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }] });
  const server = createServer((_req, res) => res.setHeader('content-type', 'application/json').end(jwks));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');
  return {
    jwks,
    origin: `http://127.0.0.1:${address.port}`,
    jwksUrl: `http://127.0.0.1:${address.port}/.well-known/jwks.json`,
    sign: (who: { tenantId: string; userId: string; role: string }): Promise<string> =>
      new SignJWT({ tenant_id: who.tenantId, roles: [who.role], sid: randomUUID() })
        .setProtectedHeader({ alg: 'ES256', kid, typ: 'at+jwt' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(who.userId)
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime('6h')
        .sign(privateKey),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
