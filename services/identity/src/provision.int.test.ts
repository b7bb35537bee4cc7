import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'mocha';
import { httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import { type Instance, makeScene, type Scene, startInstance } from './identity.support.ts';

describe('users made from outside', function () {
  this.timeout(60_000);
  let scene: Scene;
  let instance: Instance;

  before(async () => {
    const parts = stack();
    scene = await makeScene(parts.databaseUrl, parts.databaseUrlOf('ragline_identity'));
    instance = await startInstance(settings());
  });
  after(async () => {
    await instance?.stop();
    await scene?.drop();
  });

  const settings = (): Record<string, string> => ({
    DATABASE_URL: scene.serviceUrl,
    SCHEMA_REGISTRY_URL: stack().registryUrl,
    KEY_ENCRYPTION_SECRET: 'a-secret-for-tests-of-identity-0123456789',
    RAGLINE_RATE_LIMITS: 'off',
  });
  const run = (file: string, env: Record<string, string>) =>
    new Promise<{ code: number; output: string }>((resolve) => {
      const path = fileURLToPath(new URL(file, import.meta.url));
      execFile(
        process.execPath,
        [path],
        { env: { PATH: process.env.PATH, ...settings(), ...env } },
        (error, out, err) => resolve({ code: error === null ? 0 : 1, output: out + err }),
      );
    });
  const seed = (password: string, env = {}) =>
    run('seed.ts', { RAGLINE_DEMO_PASSWORD: password, SENTINEL_PASSWORD: 'sentinel-password', ...env });
  const login = async (tenant: string, email: string, password: string) =>
    (await httpTo(instance.origin)('POST', '/v1/auth/login', { body: { tenant, email, password } })).body;
  const rows = async () => {
    const { rows } = await scene.owner.query(
      'SELECT u::text AS text FROM identity.user_account u ORDER BY id',
    );
    return rows.map(({ text }) => text);
  };

  it('are the nine of the sample, once, however often it is made', async () => {
    assert.equal((await seed('first-password')).code, 0);
    const before = await rows();
    assert.equal(before.length, 9);
    assert.equal((await seed('first-password')).code, 0);
    assert.deepEqual(await rows(), before);
    for (const [tenant, email] of [
      ['demo', 'customer@demo.example'],
      ['acme', 'admin@acme.example'],
      ['ragline', 'operator@ragline.example'],
    ] as const) {
      assert.equal((await login(tenant, email, 'first-password')).user.email, email);
    }
    assert.deepEqual((await login('sentinel', 'staff@sentinel.example', 'sentinel-password')).user.roles, [
      'staff',
    ]);
  });

  it('take over a sample password that was changed', async () => {
    assert.equal((await seed('second-password')).code, 0);
    assert.equal((await login('demo', 'staff@demo.example', 'second-password')).token_type, 'Bearer');
    assert.equal((await login('demo', 'staff@demo.example', 'first-password')).code, 'unauthenticated');
  });

  it('come back under another id once they were erased, and have nothing of who was before', async () => {
    const customer = ['demo', 'customer@demo.example', 'second-password'] as const;
    const before = (await login(...customer)).user;
    await scene.owner.query("SELECT identity.erase_user($1, $2, ARRAY['customer@demo.example'])", [
      before.tenant_id,
      before.id,
    ]);
    assert.equal((await seed('second-password')).code, 0);
    const anew = (await login(...customer)).user;
    assert.equal(anew.tenant_id, before.tenant_id);
    assert.notEqual(anew.id, before.id);
    assert.equal((await seed('second-password')).code, 0);
    assert.equal((await login(...customer)).user.id, anew.id);
  });

  it('are refused in production: the sample is not made, and a service that finds it does not start', async () => {
    const { code, output } = await seed('third-password', { RAGLINE_ENV: 'production' });
    assert.equal(code, 1);
    assert.match(output, /refused in production/);
    assert.equal(output.includes('third-password'), false);
    await assert.rejects(
      startInstance({ ...settings(), RAGLINE_ENV: 'production' }),
      /Sample users are refused/,
    );
  });

  it('begin with an operator, who may make tenants', async () => {
    const operator = {
      OPERATOR_EMAIL: 'Ops@Example.com',
      OPERATOR_PASSWORD: 'window-29-lamp',
      RAGLINE_ENV: 'production',
    };
    for (let time = 0; time < 2; time++) assert.equal((await run('bootstrap.ts', operator)).code, 0);
    const { access_token: token } = await login('ragline', 'ops@example.com', 'window-29-lamp');
    const body = { slug: 'first-shop', name: 'First shop' };
    assert.equal((await httpTo(instance.origin)('POST', '/v1/tenants', { token, body })).status, 201);
    const weak = await run('bootstrap.ts', { ...operator, OPERATOR_PASSWORD: 'short' });
    assert.equal(weak.code, 1);
    assert.match(weak.output, /OPERATOR_PASSWORD must have at least 12/);
  });
});
