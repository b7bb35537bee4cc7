/** The traps of RFC 8725, set for a running service by way of its own tokens and keys. */
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, randomUUID } from 'node:crypto';
import { type Authentication, createAuthentication } from '@ragline/web/auth';
import {
  CompactSign,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  type JWK,
  SignJWT,
} from 'jose';
import { after, before, describe, it } from 'mocha';
import { type Http, httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import {
  type Instance,
  makeScene,
  makeTenant,
  type Person,
  type Scene,
  startInstance,
} from './identity.support.ts';
import { open } from './secrets.ts';

const secret = 'a-secret-for-tests-of-identity-0123456789';
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('forged access tokens', function () {
  this.timeout(60_000);
  let scene: Scene;
  let instance: Instance;
  let http: Http;
  let carla: Person;
  let elsewhere: Authentication;
  let token: string;
  let claims: Record<string, unknown>;
  let header: Record<string, unknown>;
  let publicJwk: JWK;
  let sign: (claims: Record<string, unknown>, header?: Record<string, unknown>) => Promise<string>;

  before(async () => {
    const parts = stack();
    scene = await makeScene(parts.databaseUrl, parts.databaseUrlOf('ragline_identity'));
    instance = await startInstance({
      DATABASE_URL: scene.serviceUrl,
      SCHEMA_REGISTRY_URL: parts.registryUrl,
      KEY_ENCRYPTION_SECRET: secret,
      RAGLINE_RATE_LIMITS: 'off',
    });
    http = httpTo(instance.origin);
    ({ carla } = await makeTenant(scene, { carla: ['admin'] }));
    const { tenant, email, password } = carla;
    token = (await http('POST', '/v1/auth/login', { body: { tenant, email, password } })).body.access_token;
    claims = { ...decodeJwt(token) };
    header = { ...decodeProtectedHeader(token) };
    const jwksUrl = `${instance.origin}/.well-known/jwks.json`;
    elsewhere = createAuthentication({ jwksUrl, issuer: 'ragline', audience: 'ragline' });
    const { keys } = (await http('GET', '/.well-known/jwks.json')).body;
    publicJwk = keys.find(({ kid }: JWK) => kid === header.kid);

    // With the real key, as only identity has it: what is refused then is refused for the claim alone.
    const { rows } = await scene.owner.query(
      'SELECT private_sealed FROM identity.signing_key WHERE kid = $1',
      [header.kid],
    );
    const privateKey = JSON.parse(open(rows[0].private_sealed, secret, 'signing key', String(header.kid)));
    const { importJWK } = await import('jose');
    const key = await importJWK(privateKey, 'ES256');
    sign = (payload, head = {}) =>
      new CompactSign(Buffer.from(JSON.stringify(payload)))
        .setProtectedHeader({ alg: 'ES256', kid: String(header.kid), typ: 'at+jwt', ...head })
        .sign(key);
  });
  after(async () => {
    await instance?.stop();
    await scene?.drop();
  });

  const refused = async (forged: string, name: string) => {
    const { status, body } = await http('GET', '/v1/auth/me', { token: forged });
    assert.deepEqual([status, body.code], [401, 'unauthenticated'], `${name}: by identity itself`);
    await assert.rejects(
      elsewhere.verify(forged),
      { code: 'unauthenticated' },
      `${name}: by another service`,
    );
  };

  it('are told apart from the real one, which passes', async () => {
    assert.equal((await http('GET', '/v1/auth/me', { token })).status, 200);
    assert.equal((await elsewhere.verify(token)).user_id, carla.id);
    assert.equal((await elsewhere.verify(await sign(claims))).user_id, carla.id);
  });

  it('without a signature are refused', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
      await refused(`${encode({ ...header, alg })}.${encode(claims)}.`, alg);
      await refused(
        `${encode({ ...header, alg })}.${encode(claims)}.${token.split('.')[2]}`,
        `${alg} with a signature`,
      );
    }
    await refused(`${token.split('.').slice(0, 2).join('.')}.`, 'signature cut off');
  });

  it('signed with the public key as an HMAC secret are refused', async () => {
    const key = createPublicKey({ key: { ...publicJwk }, format: 'jwk' });
    const secrets: (string | Buffer)[] = [
      key.export({ type: 'spki', format: 'pem' }),
      key.export({ type: 'spki', format: 'der' }),
      JSON.stringify(publicJwk),
      Buffer.from(String(publicJwk.x), 'base64url'),
    ];
    for (const [n, hmacSecret] of secrets.entries()) {
      const head = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
      await refused(
        `${head}.${createHmac('sha256', hmacSecret).update(head).digest('base64url')}`,
        `HS256 ${n}`,
      );
    }
  });

  it('signed with a key of the forger are refused, wherever the header says to find it', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const forge = (head: Record<string, unknown>) =>
      new CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', ...head })
        .sign(privateKey);
    const { kid } = header;
    const heads: [string, Record<string, unknown>][] = [
      ['under the real kid', { kid }],
      ['with an embedded key', { kid, jwk }],
      ['with an embedded key and no kid', { jwk }],
      ['with a jku', { kid, jku: 'http://127.0.0.1:9/jwks.json' }],
      ['with an x5u', { kid, x5u: 'http://127.0.0.1:9/cert.pem' }],
      ['under an unknown kid', { kid: randomUUID() }],
      ['without a kid', {}],
      ['under a kid with SQL in it', { kid: "' UNION SELECT '1" }],
      ['under a kid that is a path', { kid: '../../../../dev/null' }],
      ['under a kid that is a name of Object', { kid: '__proto__' }],
      ['under an empty kid', { kid: '' }],
    ];
    for (const [name, head] of heads) await refused(await forge(head), name);
  });

  it('for others, by others, too old or without what must be in them are refused', async () => {
    const seconds = Math.floor(Date.now() / 1000);
    const without = (name: string) =>
      Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
    const cases: [string, Record<string, unknown>][] = [
      ['another audience', { ...claims, aud: 'somebody-else' }],
      ['no audience among many', { ...claims, aud: ['x', 'y'] }],
      ['another issuer', { ...claims, iss: 'https://evil.example' }],
      ['expired', { ...claims, iat: seconds - 1_000, exp: seconds - 100 }],
      ['not yet valid', { ...claims, nbf: seconds + 1_000 }],
      ['exp as text', { ...claims, exp: String(seconds + 1_000) }],
      ['roles as text', { ...claims, roles: 'admin' }],
      ['a role nobody knows', { ...claims, roles: ['root'] }],
      ['a tenant that is no UUID', { ...claims, tenant_id: "x' OR 1=1" }],
      ...['iss', 'aud', 'sub', 'tenant_id', 'roles', 'sid', 'jti', 'iat', 'exp'].map(
        (name): [string, Record<string, unknown>] => [`without ${name}`, without(name)],
      ),
    ];
    for (const [name, payload] of cases) await refused(await sign(payload), name);
  });

  it('that are real tokens of another kind are refused', async () => {
    await refused(await sign(claims, { typ: 'JWT' }), 'typ JWT');
    await refused(await sign(claims, { typ: 'secevent+jwt' }), 'typ secevent+jwt');
    await refused(await sign(claims, { crit: ['exp'], exp: 1 }).catch(() => 'a.b.c'), 'crit');
  });

  it('with another tenant, user or role in them are refused', async () => {
    const [head, , signature] = token.split('.');
    for (const change of [
      { tenant_id: randomUUID() },
      { sub: randomUUID() },
      { roles: ['operator'] },
      { exp: 9e9 },
    ]) {
      await refused(`${head}.${encode({ ...claims, ...change })}.${signature}`, JSON.stringify(change));
    }
  });

  it('of another algorithm than the one we use are refused, even with a good signature', async () => {
    for (const alg of ['ES384', 'RS256', 'EdDSA', 'PS256']) {
      const { privateKey } = await generateKeyPair(alg);
      const forged = await new SignJWT(claims)
        .setProtectedHeader({ alg, kid: String(header.kid), typ: 'at+jwt' })
        .sign(privateKey);
      await refused(forged, alg);
    }
  });

  it('that are not even tokens are refused without an error of ours', async () => {
    const shapes = [
      '',
      'x',
      '..',
      'a.b.c',
      `${token}x`,
      `${token}.x`,
      'x'.repeat(9_000),
      `${encode(null)}.${encode(null)}.x`,
    ];
    for (const shape of shapes) {
      const { status } = await http('GET', '/v1/auth/me', { token: shape });
      assert.equal(status, 401, shape.slice(0, 30));
    }
  });
});
