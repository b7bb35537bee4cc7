import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { mock } from 'node:test';
import { exportJWK, exportSPKI, importJWK, SignJWT } from 'jose';
import { after, before, describe, it } from 'mocha';
import {
  makeSigningKey,
  signToken,
  startJwks,
  startTokens,
  testAudience,
  testIssuer,
} from '../../../tests/support/tokens.ts';
import { bearerFrom, createAuthentication } from './auth.ts';
import { hasRole } from './principal.ts';
import { Problem } from './problems.ts';

const isUnauthenticated = (error: unknown) => error instanceof Problem && error.code === 'unauthenticated';
const isUnavailable = (error: unknown) => error instanceof Problem && error.code === 'unavailable';

describe('verifying access tokens', () => {
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  before(async () => {
    tokens = await startTokens();
  });
  after(() => tokens.stop());

  const verify = (token: string) => createAuthentication(tokens.settings).verify(token);

  it('tells who is calling', async () => {
    const claims = { user_id: randomUUID(), tenant_id: randomUUID(), session_id: 's-1', token_id: 't-1' };
    const issuedAt = Math.floor(Date.now() / 1000) * 1000;
    const token = await tokens.token({
      ...claims,
      roles: ['staff', 'unheard-of'],
      issuedAt,
      lastsMs: 60_000,
    });
    assert.deepEqual(await verify(token), {
      ...claims,
      key_id: tokens.key.kid,
      roles: ['staff'],
      issued_at: issuedAt,
      expires_at: issuedAt + 60_000,
    });
  });

  const now = Math.floor(Date.now() / 1000);
  const claims = () => ({
    iss: testIssuer,
    aud: testAudience,
    sub: randomUUID(),
    tenant_id: randomUUID(),
    roles: ['customer'],
    sid: 's',
    jti: 't',
    iat: now,
    exp: now + 600,
  });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = () => ({ alg: 'ES256', typ: 'at+jwt', kid: tokens.key.kid });
  /** Properly signed, with whatever header and claims. */
  const signed = (claimsOf: object, headerOf: object = {}) =>
    new SignJWT({ ...claimsOf }).setProtectedHeader({ ...header(), ...headerOf }).sign(tokens.key.privateKey);

  // RFC 8725 names these traps.
  const traps: Record<string, () => Promise<string> | string> = {
    'that is no token': () => 'a.b.c',
    'with alg none': () => `${part({ ...header(), alg: 'none' })}.${part(claims())}.`,
    'with alg none and a signature': () => `${part({ ...header(), alg: 'none' })}.${part(claims())}.c2ln`,
    'signed by HMAC with the public key as its secret': async () => {
      const key = await importJWK(tokens.key.publicJwk, 'ES256', { extractable: true });
      assert.ok('type' in key);
      const unsigned = `${part({ ...header(), alg: 'HS256' })}.${part(claims())}`;
      return `${unsigned}.${createHmac('sha256', await exportSPKI(key))
        .update(unsigned)
        .digest('base64url')}`;
    },
    'signed by a key that it brings along': async () => {
      const own = await makeSigningKey(tokens.key.kid);
      return new SignJWT(claims())
        .setProtectedHeader({ ...header(), jwk: own.publicJwk })
        .sign(own.privateKey);
    },
    'signed by a key that a link in it names': async () => {
      const own = await makeSigningKey();
      const elsewhere = await startJwks([own]);
      const token = new SignJWT(claims()).setProtectedHeader({
        ...header(),
        kid: own.kid,
        jku: elsewhere.jwksUrl,
      });
      await elsewhere.stop();
      return token.sign(own.privateKey);
    },
    'signed by another algorithm of the same family': async () => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
      return new SignJWT(claims()).setProtectedHeader({ ...header(), alg: 'ES384' }).sign(privateKey);
    },
    'with a changed claim': async () => {
      const [head, , signature] = (await signed(claims())).split('.');
      return `${head}.${part({ ...claims(), roles: ['admin'] })}.${signature}`;
    },
    'of another issuer': () => signed({ ...claims(), iss: 'elsewhere' }),
    'for another audience': () => signed({ ...claims(), aud: 'elsewhere' }),
    'that has ended': () => signed({ ...claims(), iat: now - 20, exp: now - 10 }),
    'that is not valid yet': () => signed({ ...claims(), nbf: now + 600 }),
    'of another type, signed by the same key': () => signed(claims(), { typ: 'JWT' }),
    'without a type': () => signed(claims(), { typ: undefined }),
    'without a kid': () => signed(claims(), { kid: undefined }),
    'with a critical extension that nobody knows': () =>
      `${part({ ...header(), crit: ['x'], x: 1 })}.${part(claims())}.c2ln`,
    'whose end is no number': () => signed({ ...claims(), exp: '9999999999' }),
    'whose subject is no id': () => signed({ ...claims(), sub: "'; drop table" }),
    'without roles': () => signed({ ...claims(), roles: [] }),
    'with unknown roles only': () => signed({ ...claims(), roles: ['root'] }),
    'whose roles are a text': () => signed({ ...claims(), roles: 'admin' }),
    'of absurd length': () => signed({ ...claims(), padding: 'x'.repeat(9_000) }),
  };
  for (const claim of ['iss', 'aud', 'sub', 'tenant_id', 'roles', 'sid', 'jti', 'iat', 'exp']) {
    traps[`without ${claim}`] = () => signed({ ...claims(), [claim]: undefined });
  }

  it('accepts the token that the following ones differ from', async () => {
    await verify(await signed(claims()));
  });

  for (const [name, make] of Object.entries(traps)) {
    it(`refuses a token ${name}`, async () => {
      await assert.rejects(verify(await make()), isUnauthenticated);
    });
  }

  it('says the same to all that it refuses', async () => {
    const refused = new Set<string>();
    for (const make of Object.values(traps)) {
      await verify(await make()).catch((error: unknown) => {
        assert.ok(error instanceof Problem);
        refused.add(JSON.stringify([error.status, error.title, error.detail, error.headers, error.members]));
      });
    }
    assert.equal(refused.size, 1);
  });

  it('verifies a token once, and still ends with it', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() });
    try {
      const { verify } = createAuthentication(tokens.settings);
      const token = await tokens.token({ lastsMs: 60_000 });
      assert.equal(await verify(token), await verify(token));
      const { expires_at } = await verify(token);
      mock.timers.setTime(expires_at);
      await assert.rejects(verify(token), isUnauthenticated);
    } finally {
      mock.timers.reset();
    }
  });
});

describe('the keys of identity', () => {
  it('may be two at once, and a new one is found when its first token comes', async () => {
    const [first, second] = [await makeSigningKey(), await makeSigningKey()];
    const jwks = await startJwks([first]);
    const { verify } = createAuthentication(settingsOf(jwks.jwksUrl, 0));
    await verify(await signToken(first));
    jwks.serve([second, first]);
    await verify(await signToken(second));
    await verify(await signToken(first));
    await jwks.stop();
  });

  it('are fetched once for a burst of first tokens', async () => {
    const key = await makeSigningKey();
    const jwks = await startJwks([key]);
    const { verify } = createAuthentication(settingsOf(jwks.jwksUrl, 5_000));
    const burst = await Promise.all(Array.from({ length: 20 }, () => signToken(key)));
    await Promise.all(burst.map((token) => verify(token)));
    assert.equal(jwks.requests(), 1);
    await jwks.stop();
  });

  it('are not fetched anew for every kid that somebody invents', async () => {
    const key = await makeSigningKey();
    const jwks = await startJwks([key]);
    const { verify } = createAuthentication(settingsOf(jwks.jwksUrl, 60_000));
    await verify(await signToken(key));
    for (let attempt = 0; attempt < 10; attempt++) {
      await assert.rejects(verify(await signToken(await makeSigningKey())), isUnauthenticated);
    }
    assert.equal(jwks.requests(), 1);
    await jwks.stop();
  });

  it('are kept while identity is away', async () => {
    const key = await makeSigningKey();
    const jwks = await startJwks([key]);
    // Refreshed at every use, which fails from the second on.
    const { verify } = createAuthentication({ ...settingsOf(jwks.jwksUrl, 0, 0) });
    await verify(await signToken(key));
    jwks.setAway(true);
    await verify(await signToken(key));
    await verify(await signToken(key));
    await jwks.stop();
  });

  it('that are withdrawn take their tokens with them, also those that were verified before', async () => {
    const [old, next] = [await makeSigningKey(), await makeSigningKey()];
    const jwks = await startJwks([old, next]);
    // Read again before every use.
    const { verify, isWithdrawn } = createAuthentication(settingsOf(jwks.jwksUrl, 0, 0));
    const token = await signToken(old);
    const principal = await verify(token);
    jwks.serve([next]);
    await assert.rejects(verify(token), isUnauthenticated);
    assert.equal(isWithdrawn(principal), true);
    await verify(await signToken(next));
    await jwks.stop();
  });

  it('that were never reached leave the question open: the answer is unavailable, not refused', async () => {
    const key = await makeSigningKey();
    const jwks = await startJwks([key]);
    jwks.setAway(true);
    const { verify } = createAuthentication(settingsOf(jwks.jwksUrl, 0));
    await assert.rejects(verify(await signToken(key)), isUnavailable);
    jwks.setAway(false);
    await verify(await signToken(key));
    await jwks.stop();
  });

  it('of another kind are not used', async () => {
    const key = await makeSigningKey();
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rsa = { ...key, publicJwk: { ...(await exportJWK(publicKey)), kid: key.kid, use: 'sig' } };
    const jwks = await startJwks([rsa]);
    await assert.rejects(
      createAuthentication(settingsOf(jwks.jwksUrl, 0)).verify(await signToken(key)),
      isUnavailable,
    );
    await jwks.stop();
  });
});

describe('tokens that are revoked', () => {
  it('are refused, also when they were verified before', async () => {
    const tokens = await startTokens();
    const revoked = new Set<string>();
    const isRevoked = ({ user_id }: { user_id: string }) => revoked.has(user_id);
    const { verify } = createAuthentication({ ...tokens.settings, isRevoked });
    const token = await tokens.token();
    const { user_id } = await verify(token);
    revoked.add(user_id);
    await assert.rejects(verify(token), isUnauthenticated);
    revoked.clear();
    await verify(token);
    await tokens.stop();
  });
});

describe('roles', () => {
  it('include those below them within a tenant, and operator none', () => {
    const table = [
      ['customer', [true, false, false, false]],
      ['staff', [true, true, false, false]],
      ['admin', [true, true, true, false]],
      ['operator', [false, false, false, true]],
    ] as const;
    for (const [held, allowed] of table) {
      const found = (['customer', 'staff', 'admin', 'operator'] as const).map((role) =>
        hasRole({ roles: [held] }, role),
      );
      assert.deepEqual(found, allowed, held);
    }
  });
});

describe('the Authorization header', () => {
  for (const [header, token] of [
    ['Bearer a.b.c', 'a.b.c'],
    ['bearer a.b.c', 'a.b.c'],
    [undefined, undefined],
    ['', undefined],
    ['Basic a.b.c', undefined],
    ['Bearer', undefined],
    ['Bearer a.b', undefined],
    ['Bearer a.b.c, Bearer d.e.f', undefined],
  ] as const) {
    it(`${JSON.stringify(header) ?? 'that is missing'} holds ${token ?? 'no token'}`, () => {
      assert.equal(bearerFrom(header), token);
    });
  }
});

function settingsOf(jwksUrl: string, cooldownMs: number, refreshAfterMs = 300_000) {
  return { jwksUrl, issuer: testIssuer, audience: testAudience, keyOptions: { cooldownMs, refreshAfterMs } };
}
