import assert from 'node:assert/strict';
import { createPool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { type Authentication, createAuthentication } from '@ragline/web/auth';
import { decodeProtectedHeader } from 'jose';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import {
  type Instance,
  makeScene,
  makeTenant,
  type Person,
  type Scene,
  startInstance,
} from './identity.support.ts';
import { keyStore } from './key-store.ts';

const audience = { issuer: 'ragline', audience: 'ragline' };

describe('signing keys, on two instances of identity', function () {
  this.timeout(60_000);
  let scene: Scene;
  let instances: Instance[] = [];
  let carla: Person;
  let env: Record<string, string>;

  before(async () => {
    const parts = stack();
    scene = await makeScene(parts.databaseUrl, parts.databaseUrlOf('ragline_identity'));
    env = {
      DATABASE_URL: scene.serviceUrl,
      SCHEMA_REGISTRY_URL: parts.registryUrl,
      KEY_ENCRYPTION_SECRET: 'a-secret-for-tests-of-identity-0123456789',
      RAGLINE_RATE_LIMITS: 'off',
      SIGNING_KEY_LEAD_MS: '2000',
      SIGNING_KEY_REFRESH_MS: '100',
    };
    // At the same moment, on an empty table: they must come to the same keys.
    instances = await Promise.all([startInstance(env), startInstance(env)]);
    ({ carla } = await makeTenant(scene, { carla: ['customer'] }));
  });
  after(async () => {
    await Promise.all(instances.map((instance) => instance.stop()));
    await scene?.drop();
  });

  const originOf = (n: number): string => instances[n]?.origin ?? '';
  const tokenOf = async (n: number): Promise<string> => {
    const body = { tenant: carla.tenant, email: carla.email, password: carla.password };
    return (await httpTo(originOf(n))('POST', '/v1/auth/login', { body })).body.access_token;
  };
  const kidOf = (token: string): string | undefined => decodeProtectedHeader(token).kid;
  const kidsAt = async (n: number): Promise<string[]> => {
    const { body } = await httpTo(originOf(n))('GET', '/.well-known/jwks.json');
    return body.keys.map(({ kid }: { kid: string }) => kid).sort();
  };
  const verifier = (n: number): Authentication =>
    createAuthentication({ jwksUrl: `${originOf(n)}/.well-known/jwks.json`, ...audience });

  it('are the same two on both, from the first start', async () => {
    const kids = await kidsAt(0);
    assert.equal(kids.length, 2);
    assert.deepEqual(await kidsAt(1), kids);
    assert.equal(kidOf(await tokenOf(0)), kidOf(await tokenOf(1)));
  });

  it('are published without their private part, to be kept for a while', async () => {
    const { body, headers } = await httpTo(originOf(0))('GET', '/.well-known/jwks.json');
    assert.match(headers.get('cache-control') ?? '', /^public, max-age=\d+$/);
    for (const key of body.keys) {
      assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      assert.deepEqual([key.alg, key.crv, key.kty, key.use], ['ES256', 'P-256', 'EC', 'sig']);
    }
  });

  it('turn without a token refused: the next was known before it signs, the last stays until its tokens end', async () => {
    const verifiers = [verifier(0), verifier(1)];
    const before = await tokenOf(0);
    for (const { verify } of verifiers) await verify(before);
    const published = await kidsAt(0);

    const kid = await keyStore(scene.service).rotateNow({ withdraw: false });
    assert.ok(kid !== undefined && published.includes(kid), 'the next key was published already');
    await eventually(async () => {
      assert.deepEqual([kidOf(await tokenOf(0)), kidOf(await tokenOf(1))], [kid, kid]);
    });
    const after = await tokenOf(1);
    for (const { verify } of verifiers) {
      assert.equal((await verify(before)).user_id, carla.id);
      assert.equal((await verify(after)).user_id, carla.id);
    }
    await eventually(async () => {
      const kids = await kidsAt(1);
      assert.equal(kids.length, 3, 'the last, the present and one more for later');
      assert.deepEqual(await kidsAt(0), kids);
    });
  });

  it('go at once when one is withdrawn, and its tokens with it', async () => {
    const stale = await tokenOf(0);
    await keyStore(scene.service).rotateNow({ withdraw: true });
    await eventually(async () => {
      assert.equal((await kidsAt(0)).includes(kidOf(stale) ?? ''), false);
      assert.equal((await kidsAt(1)).includes(kidOf(stale) ?? ''), false);
    });
    // A verifier that starts now reads the new set.
    await assert.rejects(verifier(0).verify(stale), { code: 'unauthenticated' });
    await verifier(1).verify(await tokenOf(0));
  });

  it('do not open with another secret: such an instance does not start, and says why', async () => {
    await assert.rejects(
      startInstance({ ...env, KEY_ENCRYPTION_SECRET: 'another-secret-for-tests-0123456789' }),
      (error: Error) => /KEY_ENCRYPTION_SECRET/.test(error.message) && !/another-secret/.test(error.message),
    );
  });

  it('are made once when ten instances plan at the same moment', async () => {
    await scene.owner.query('DELETE FROM identity.signing_key');
    const log = createLogger({ service: 'identity-test', level: 'error' });
    const pools = Array.from({ length: 10 }, () =>
      createPool({
        url: scene.serviceUrl,
        max: 1,
        applicationName: 'plan',
        log,
        metrics: createMetrics({ service: 'x' }),
      }),
    );
    const { startKeyRing } = await import('./key-ring.ts');
    const rings = await Promise.all(
      pools.map((pool) =>
        startKeyRing({
          store: keyStore(pool),
          secret: env.KEY_ENCRYPTION_SECRET ?? '',
          policy: { lifetimeMs: 60_000, leadMs: 2_000, keepMs: 60_000 },
          refreshMs: 60_000,
          log,
        }),
      ),
    );
    for (const ring of rings) ring.stop();
    assert.equal(new Set(rings.map((ring) => ring.current().kid)).size, 1);
    assert.equal(new Set(rings.flatMap((ring) => ring.publicKeys().keys.map(({ kid }) => kid))).size, 2);
    await Promise.all(pools.map((pool) => pool.end()));
  });
});
