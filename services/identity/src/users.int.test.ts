import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { after, before, describe, it } from 'mocha';
import { type Http, httpTo } from '../../../tests/support/http.ts';
import { stack } from '../../../tests/support/stack.ts';
import {
  type Instance,
  makeScene,
  makeTenant,
  type Person,
  password,
  type Scene,
  startInstance,
} from './identity.support.ts';

const newPassword = 'window-29-lamp';

describe('users and tenants', function () {
  this.timeout(60_000);
  let scene: Scene;
  let instances: Instance[] = [];
  let a: Http;
  let b: Http;

  before(async () => {
    const parts = stack();
    scene = await makeScene(parts.databaseUrl, parts.databaseUrlOf('ragline_identity'));
    const env = {
      DATABASE_URL: scene.serviceUrl,
      SCHEMA_REGISTRY_URL: parts.registryUrl,
      KEY_ENCRYPTION_SECRET: 'a-secret-for-tests-of-identity-0123456789',
      RAGLINE_RATE_LIMITS: 'off',
    };
    instances = [await startInstance(env), await startInstance(env)];
    [a, b] = [httpTo(instances[0]?.origin ?? ''), httpTo(instances[1]?.origin ?? '')];
  });
  after(async () => {
    await Promise.all(instances.map((instance) => instance.stop()));
    await scene?.drop();
  });

  const login = ({ tenant, email }: Person, secret = password) =>
    a('POST', '/v1/auth/login', { body: { tenant, email, password: secret } });
  const tokenOf = async (person: Person): Promise<string> => (await login(person)).body.access_token;
  const shop = () => makeTenant(scene, { ada: ['admin'], sam: ['staff'], carla: ['customer'] });
  const revocationsOf = async ({ id }: Person) => {
    const { rows } = await scene.owner.query('SELECT type FROM identity.outbox WHERE aggregateid = $1', [id]);
    return rows.map(({ type }) => type);
  };
  const draft = () => ({ email: `${randomUUID()}@example.com`, password: newPassword });

  describe('listing', () => {
    it('is for admins only', async () => {
      const { ada, sam, carla } = await shop();
      assert.equal((await a('GET', '/v1/users')).status, 401);
      for (const person of [sam, carla]) {
        assert.equal((await a('GET', '/v1/users', { token: await tokenOf(person) })).status, 403);
      }
      const { status, body } = await a('GET', '/v1/users', { token: await tokenOf(ada) });
      assert.equal(status, 200);
      assert.equal(body.data.length, 3);
      assert.equal(JSON.stringify(body).includes('argon2'), false);
    });

    it('gives each user once, page by page, while others are added', async () => {
      const { ada } = await shop();
      const token = await tokenOf(ada);
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const query: string = cursor === null ? '' : `&cursor=${cursor}`;
        const { body }: { body: { data: { id: string }[]; next_cursor: string | null } } = await a(
          'GET',
          `/v1/users?limit=1${query}`,
          { token },
        );
        seen.push(...body.data.map(({ id }) => id));
        cursor = body.next_cursor;
        if (seen.length === 1) await a('POST', '/v1/users', { token, body: draft() });
      } while (cursor !== null);
      assert.equal(new Set(seen).size, seen.length);
      assert.equal(seen.length, 4);
    });

    it('refuses a cursor that is none of ours', async () => {
      const { ada } = await shop();
      const { status, body } = await a('GET', '/v1/users?cursor=nonsense', { token: await tokenOf(ada) });
      assert.deepEqual([status, body.code], [400, 'malformed']);
    });
  });

  describe('another tenant', () => {
    it('has no users that can be seen, changed or guessed', async () => {
      const [mine, theirs] = [await shop(), await shop()];
      const token = await tokenOf(mine.ada);
      const paths = [theirs.carla.id, randomUUID(), 'no-uuid'].map((id) => `/v1/users/${id}`);
      for (const path of paths) {
        assert.equal((await a('GET', path, { token })).status, 404, path);
        assert.equal((await a('PATCH', path, { token, body: { active: false } })).status, 404, path);
      }
      assert.equal((await login(theirs.carla)).status, 200);
    });

    it('may have a user of the same address', async () => {
      const [mine, theirs] = [await shop(), await shop()];
      const body = draft();
      for (const { ada } of [mine, theirs]) {
        assert.equal((await a('POST', '/v1/users', { token: await tokenOf(ada), body })).status, 201);
      }
    });

    it('is hidden by the database itself from a query that forgets to ask for the tenant', async () => {
      const [mine, theirs] = [await shop(), await shop()];
      await login(theirs.carla);
      const tables = ['tenant', 'user_account', 'session', 'refresh_token', 'ticket'];
      const client = await scene.service.connect();
      try {
        for (const table of tables) {
          const { rows } = await client.query(`SELECT count(*) AS count FROM identity.${table}`);
          assert.equal(rows[0].count, 0, `${table} without a tenant`);
        }
        await client.query('BEGIN');
        await client.query("SELECT set_config('ragline.tenant_id', $1, true)", [mine.id]);
        const { rows } = await client.query('SELECT DISTINCT tenant_id FROM identity.user_account');
        assert.deepEqual(rows, [{ tenant_id: mine.id }]);
        const { rowCount } = await client.query('UPDATE identity.user_account SET name = $2 WHERE id = $1', [
          theirs.carla.id,
          'x',
        ]);
        assert.equal(rowCount, 0);
        await assert.rejects(
          client.query(
            'INSERT INTO identity.user_account (id, tenant_id, email, roles, password_hash) VALUES ($1, $2, $3, $4, $5)',
            [randomUUID(), theirs.id, 'x@example.com', ['admin'], 'x'],
          ),
          /row-level security/,
        );
      } finally {
        await client.query('ROLLBACK');
        client.release();
      }
    });

    it('is out of reach of the other services', async () => {
      const url = new URL(stack().databaseUrlOf('ragline_orders'));
      url.pathname = new URL(scene.serviceUrl).pathname;
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      try {
        for (const query of [
          'SELECT * FROM identity.user_account',
          'SELECT * FROM identity.signing_key',
          "SELECT * FROM identity.find_login('demo', 'x')",
          "SELECT * FROM identity.take_ticket('x')",
        ]) {
          await assert.rejects(client.query(query), /permission denied/, query);
        }
      } finally {
        await client.end();
      }
    });
  });

  describe('creating', () => {
    it('makes a user who can sign in', async () => {
      const { ada, slug } = await shop();
      const token = await tokenOf(ada);
      const body = {
        email: ' Cook@Example.COM ',
        password: newPassword,
        roles: ['staff', 'staff'],
        name: 'Cook',
      };
      const made = await a('POST', '/v1/users', { token, body: { ...body, email: body.email.trim() } });
      assert.equal(made.status, 201);
      assert.deepEqual([made.body.email, made.body.roles], ['cook@example.com', ['staff']]);
      const at = await a('GET', made.headers.get('location') ?? '', { token });
      assert.deepEqual(at.body, made.body);
      const cook = {
        id: made.body.id,
        tenant_id: ada.tenant_id,
        tenant: slug,
        email: 'cook@example.com',
        password,
      };
      assert.equal((await login(cook, newPassword)).status, 200);
    });

    it('refuses a taken address, bad passwords, unknown fields and roles nobody may give', async () => {
      const { ada } = await shop();
      const token = await tokenOf(ada);
      const known = draft();
      await a('POST', '/v1/users', { token, body: known });
      const cases: [object, number, string][] = [
        [{ ...known, email: known.email.toUpperCase() }, 409, 'conflict'],
        [{ ...draft(), password: 'short' }, 422, 'invalid'],
        [{ ...draft(), password: 'x'.repeat(257) }, 422, 'invalid'],
        [{ ...draft(), tenant_id: randomUUID() }, 422, 'invalid'],
        [{ ...draft(), roles: [] }, 422, 'invalid'],
        [{ ...draft(), roles: ['root'] }, 422, 'invalid'],
        [{ ...draft(), email: 'no address' }, 422, 'invalid'],
        [{ ...draft(), name: 'a\u0000b' }, 422, 'invalid'],
        [{ ...draft(), roles: ['operator'] }, 403, 'forbidden'],
      ];
      for (const [body, status, code] of cases) {
        const answer = await a('POST', '/v1/users', { token, body });
        assert.deepEqual(
          [answer.status, answer.body.code],
          [status, code],
          JSON.stringify(body).slice(0, 80),
        );
      }
    });

    it('happens once for a key, on whichever instance it is repeated', async () => {
      const { ada } = await shop();
      const token = await tokenOf(ada);
      const body = draft();
      const headers = { 'idempotency-key': randomUUID() };
      const first = await a('POST', '/v1/users', { token, body, headers });
      const again = await b('POST', '/v1/users', { token, body, headers });
      assert.deepEqual([first.status, again.status], [201, 201]);
      assert.deepEqual(again.body, first.body);
      assert.equal(again.headers.get('idempotent-replayed'), 'true');
      const other = { ...body, password: `${newPassword}2` };
      const reused = await a('POST', '/v1/users', { token, body: other, headers });
      assert.deepEqual([reused.status, reused.body.code], [422, 'idempotency_key_reused']);
    });
  });

  describe('changing', () => {
    const patch = async (by: Person, whom: Person, body: object) =>
      a('PATCH', `/v1/users/${whom.id}`, { token: await tokenOf(by), body });

    it('a password ends all sessions, and only the new one opens another, at once', async () => {
      const { ada, sam } = await shop();
      const before = (await login(sam)).body;
      assert.equal((await patch(ada, sam, { password: newPassword })).status, 200);
      assert.equal((await b('GET', '/v1/auth/me', { token: before.access_token })).status, 401);
      assert.equal(
        (await b('POST', '/v1/auth/refresh', { body: { refresh_token: before.refresh_token } })).status,
        401,
      );
      assert.equal((await login(sam)).status, 401);
      const { status, body } = await login(sam, newPassword);
      assert.equal(status, 200);
      assert.deepEqual(await revocationsOf(sam), ['user_revoked']);

      // The event voids what was issued before it; a whole-second iat must still tell the two apart.
      const { rows } = await scene.owner.query(
        'SELECT tokens_void_before AS at FROM identity.user_account WHERE id = $1',
        [sam.id],
      );
      const voidBefore: number = rows[0].at.getTime();
      assert.ok((decodeJwt(before.access_token).iat ?? 0) * 1000 < voidBefore);
      assert.ok((decodeJwt(body.access_token).iat ?? 0) * 1000 >= voidBefore);
    });

    it('deactivating ends all sessions and lets nobody in; activating lets in again', async () => {
      const { ada, sam } = await shop();
      const { refresh_token } = (await login(sam)).body;
      assert.equal((await patch(ada, sam, { active: false })).status, 200);
      assert.equal((await login(sam)).status, 401);
      assert.equal((await a('POST', '/v1/auth/refresh', { body: { refresh_token } })).status, 401);
      assert.equal((await patch(ada, sam, { active: true })).status, 200);
      assert.equal((await login(sam)).status, 200);
      assert.deepEqual(await revocationsOf(sam), ['user_revoked']);
    });

    it('taking a role away voids tokens that carry it, and the session goes on without it', async () => {
      const { ada, sam } = await shop();
      const { refresh_token } = (await login(sam)).body;
      assert.equal((await patch(ada, sam, { roles: ['customer'] })).status, 200);
      assert.deepEqual(await revocationsOf(sam), ['user_revoked']);
      const { status, body } = await a('POST', '/v1/auth/refresh', { body: { refresh_token } });
      assert.equal(status, 200);
      assert.deepEqual(decodeJwt(body.access_token).roles, ['customer']);
    });

    it('a name or a further role disturbs no session', async () => {
      const { ada, sam } = await shop();
      await login(sam);
      assert.equal((await patch(ada, sam, { name: 'Sam', roles: ['admin', 'staff'] })).status, 200);
      assert.deepEqual(await revocationsOf(sam), []);
    });

    it('an admin who was demoted may not manage users any more, although the token still says so', async () => {
      const { ada, bob } = await makeTenant(scene, { ada: ['admin'], bob: ['admin'] });
      const token = await tokenOf(bob);
      assert.equal((await patch(ada, bob, { roles: ['staff'] })).status, 200);
      assert.equal((await b('GET', '/v1/users', { token })).status, 403);
      assert.equal((await b('POST', '/v1/users', { token, body: draft() })).status, 403);
    });

    it('leaves a tenant its last active admin', async () => {
      const { ada } = await makeTenant(scene, { ada: ['admin'] });
      for (const change of [{ roles: ['staff'] }, { active: false }]) {
        const { status, body } = await patch(ada, ada, change);
        assert.deepEqual([status, body.code], [409, 'conflict']);
      }
      assert.equal((await patch(ada, ada, { roles: ['admin', 'staff'] })).status, 200);
    });

    it('lets only one of two admins win who demote each other at the same moment', async () => {
      const { ada, bob } = await makeTenant(scene, { ada: ['admin'], bob: ['admin'] });
      const [ofAda, ofBob] = [await tokenOf(ada), await tokenOf(bob)];
      const answers = await Promise.all([
        a('PATCH', `/v1/users/${bob.id}`, { token: ofAda, body: { roles: ['staff'] } }),
        b('PATCH', `/v1/users/${ada.id}`, { token: ofBob, body: { roles: ['staff'] } }),
      ]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403]);
    });

    it('lets nobody but an operator make or touch an operator', async () => {
      const { ada, bob, olga } = await operators();
      assert.equal((await patch(ada, olga, { password: newPassword })).status, 403);
      assert.equal((await patch(ada, ada, { roles: ['admin', 'operator'] })).status, 403);
      assert.equal((await patch(bob, olga, { name: 'Olga' })).status, 200);
    });
  });

  /** The one tenant whose members may be operators; made once. */
  let ragline: ReturnType<typeof makeRagline> | undefined;
  const makeRagline = () =>
    makeTenant(scene, { ada: ['admin'], bob: ['admin', 'operator'], olga: ['operator'] }, 'ragline');
  const operators = () => (ragline ??= makeRagline());

  describe('tenants', () => {
    it('are listed and made by operators only', async () => {
      const { olga } = await operators();
      const { ada } = await shop();
      for (const [method, body] of [
        ['GET', undefined],
        ['POST', { slug: `x-${randomUUID()}`, name: 'X' }],
      ] as const) {
        assert.equal((await a(method, '/v1/tenants', { body })).status, 401);
        assert.equal((await a(method, '/v1/tenants', { body, token: await tokenOf(ada) })).status, 403);
      }
      const { status, body } = await a('GET', '/v1/tenants?limit=200', { token: await tokenOf(olga) });
      assert.equal(status, 200);
      assert.ok(body.data.some(({ slug }: { slug: string }) => slug === ada.tenant));
    });

    it('come with a first admin, who makes the other users', async () => {
      const { olga } = await operators();
      const token = await tokenOf(olga);
      const slug = `shop-${randomUUID().slice(0, 8)}`;
      const admin = { email: 'boss@example.com', password: newPassword };
      const headers = { 'idempotency-key': randomUUID() };
      const request = { token, body: { slug, name: 'Shop', admin }, headers };
      const made = await a('POST', '/v1/tenants', request);
      assert.equal(made.status, 201);
      assert.equal((await b('POST', '/v1/tenants', request)).headers.get('idempotent-replayed'), 'true');
      const boss = { id: '', tenant_id: made.body.id, tenant: slug, email: admin.email, password };
      const { body } = await login(boss, newPassword);
      const { data } = (await a('GET', '/v1/users', { token: body.access_token })).body;
      assert.deepEqual(
        data.map(({ email, roles }: { email: string; roles: string[] }) => [email, roles]),
        [['boss@example.com', ['admin']]],
      );
    });

    it('have a slug of their own', async () => {
      const { olga } = await operators();
      const token = await tokenOf(olga);
      const { slug } = await shop();
      const cases: [object, number][] = [
        [{ slug, name: 'Again' }, 409],
        [{ slug: 'Not A Slug', name: 'X' }, 422],
        [{ slug: '-x', name: 'X' }, 422],
        [{ slug: 'x'.repeat(64), name: 'X' }, 422],
        [{ name: 'X' }, 422],
      ];
      for (const [body, status] of cases) {
        assert.equal((await a('POST', '/v1/tenants', { token, body })).status, status, JSON.stringify(body));
      }
    });

    it('are closed to an operator whose session has come to its end, though the token goes on', async () => {
      const { olga } = await operators();
      const token = await tokenOf(olga);
      assert.equal((await a('GET', '/v1/tenants', { token })).status, 200);
      await scene.owner.query(
        "UPDATE identity.session SET expires_at = now() - interval '1 s' WHERE user_id = $1",
        [olga.id],
      );
      assert.equal((await a('GET', '/v1/tenants', { token })).status, 401);
    });

    it('give an operator no view of their users', async () => {
      const { olga } = await operators();
      assert.equal((await a('GET', '/v1/users', { token: await tokenOf(olga) })).status, 403);
    });
  });
});
