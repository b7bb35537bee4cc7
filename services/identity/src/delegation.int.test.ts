import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createAuthentication } from '@ragline/web/auth';
import { decodeJwt } from 'jose';
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

const delegationSecret = 'a-secret-between-identity-and-the-assistant';
const settings = {
  KEY_ENCRYPTION_SECRET: 'a-secret-for-tests-of-identity-0123456789',
  RAGLINE_RATE_LIMITS: 'off',
};
const path = '/internal/v1/delegated-tokens';

describe('tokens by which the assistant acts for a user', function () {
  this.timeout(60_000);
  let scene: Scene;
  let identity: Instance;
  let withoutSecret: Instance;
  let http: Http;
  let carla: Person;
  let stan: Person;
  let olga: Person;

  before(async () => {
    const parts = stack();
    scene = await makeScene(parts.databaseUrl, parts.databaseUrlOf('ragline_identity'));
    const env = { ...settings, DATABASE_URL: scene.serviceUrl, SCHEMA_REGISTRY_URL: parts.registryUrl };
    identity = await startInstance({ ...env, DELEGATION_SECRET: delegationSecret });
    withoutSecret = await startInstance(env);
    http = httpTo(identity.origin);
    ({ carla, stan, olga } = await makeTenant(scene, {
      carla: ['customer'],
      stan: ['staff'],
      olga: ['operator'],
    }));
  });
  after(async () => {
    await Promise.all([identity?.stop(), withoutSecret?.stop()]);
    await scene?.drop();
  });

  const ask = (person: Pick<Person, 'id' | 'tenant_id'>, secret = delegationSecret) =>
    http('POST', path, {
      headers: { authorization: `Bearer ${secret}` },
      body: { tenant_id: person.tenant_id, user_id: person.id },
    });

  it('are good for 60 seconds, have the roles of now, and say who acts', async () => {
    for (const [person, roles] of [
      [carla, ['customer']],
      [stan, ['staff']],
    ] as const) {
      const { status, body } = await ask(person);
      assert.deepEqual([status, body.expires_in], [200, 60]);
      const claims = decodeJwt(body.access_token);
      assert.deepEqual(
        [claims.sub, claims.tenant_id, claims.roles, claims.act, (claims.exp ?? 0) - (claims.iat ?? 0)],
        [person.id, person.tenant_id, roles, { sub: 'chat' }, 60],
      );
      const authentication = createAuthentication({
        jwksUrl: `${identity.origin}/.well-known/jwks.json`,
        issuer: 'ragline',
        audience: 'ragline',
      });
      assert.equal((await authentication.verify(body.access_token)).user_id, person.id);
    }
  });

  it('open no session: with one nobody is looked up, gets a ticket or asks for another', async () => {
    const { body } = await ask(carla);
    const token: string = body.access_token;
    assert.equal((await http('GET', '/v1/auth/me', { token })).status, 401);
    assert.equal((await http('POST', '/v1/auth/tickets', { token })).status, 401);
    assert.equal((await ask(stan, token)).status, 401);
  });

  it('are for the bearer of the secret only, and its refusal tells nothing', async () => {
    const wrong = [
      '',
      'x',
      delegationSecret.slice(0, -1),
      `${delegationSecret}x`,
      delegationSecret.toUpperCase(),
    ];
    for (const secret of wrong) {
      const { status, body } = await ask(carla, secret);
      assert.deepEqual([status, body.code], [401, 'unauthenticated'], secret);
      assert.ok(!JSON.stringify(body).includes(delegationSecret));
    }
    const unsigned = await http('POST', path, { body: { tenant_id: carla.tenant_id, user_id: carla.id } });
    assert.equal(unsigned.status, 401);
    const nobody = await ask({ id: randomUUIDv7(), tenant_id: carla.tenant_id }, 'x'.repeat(40));
    assert.equal(nobody.status, 401, 'who has no secret learns not even who there is');
  });

  it('are refused for a user who is disabled, unknown, of another tenant, or an operator, all alike', async () => {
    const other = await makeTenant(scene, { rob: ['customer'] });
    const { dora } = await makeTenant(scene, { dora: ['customer'] });
    await scene.owner.query('UPDATE identity.user_account SET active = false WHERE id = $1', [dora.id]);
    for (const person of [
      dora,
      { id: randomUUIDv7(), tenant_id: carla.tenant_id },
      { id: carla.id, tenant_id: randomUUIDv7() },
      { id: carla.id, tenant_id: other.id },
      olga,
    ]) {
      const { status, body } = await ask(person);
      assert.deepEqual([status, body.code], [403, 'forbidden']);
    }
  });

  it('have the roles that the user has by then', async () => {
    const { pia } = await makeTenant(scene, { pia: ['staff'] });
    const rolesOf = async () => decodeJwt((await ask(pia)).body.access_token).roles;
    assert.deepEqual(await rolesOf(), ['staff']);
    await scene.owner.query("UPDATE identity.user_account SET roles = '{customer}' WHERE id = $1", [pia.id]);
    assert.deepEqual(await rolesOf(), ['customer']);
  });

  it('are issued to nobody where no secret is set', async () => {
    const answer = await httpTo(withoutSecret.origin)('POST', path, {
      headers: { authorization: 'Bearer undefined' },
      body: { tenant_id: carla.tenant_id, user_id: carla.id },
    });
    assert.equal(answer.status, 404);
  });

  it('are asked for with two ids and nothing else', async () => {
    for (const body of [
      {},
      { tenant_id: 'x', user_id: carla.id },
      { tenant_id: carla.tenant_id, user_id: carla.id, roles: ['admin'] },
    ]) {
      const { status } = await http('POST', path, {
        headers: { authorization: `Bearer ${delegationSecret}` },
        body,
      });
      assert.equal(status, 422);
    }
  });
});
