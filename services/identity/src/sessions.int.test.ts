import assert from 'node:assert/strict';
import { createCodec } from '@ragline/schemas/codec';
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
  someAddress,
  startInstance,
} from './identity.support.ts';
import { sessionStore } from './session-store.ts';

const secret = 'a-secret-for-tests-of-identity-0123456789';

describe('sessions, on two instances of identity', function () {
  this.timeout(60_000);
  let scene: Scene;
  let instances: Instance[] = [];
  let a: Http;
  let b: Http;
  let carla: Person;

  before(async () => {
    const parts = stack();
    scene = await makeScene(parts.databaseUrl, parts.databaseUrlOf('ragline_identity'));
    const env = {
      DATABASE_URL: scene.serviceUrl,
      SCHEMA_REGISTRY_URL: parts.registryUrl,
      KEY_ENCRYPTION_SECRET: secret,
      RAGLINE_RATE_LIMITS: 'off',
    };
    instances = [await startInstance(env), await startInstance(env)];
    [a, b] = [httpTo(instances[0]?.origin ?? ''), httpTo(instances[1]?.origin ?? '')];
    ({ carla } = await makeTenant(scene, { carla: ['customer'] }));
  });
  after(async () => {
    await Promise.all(instances.map((instance) => instance.stop()));
    await scene?.drop();
  });

  const login = async (person: Person) => {
    const { tenant, email } = person;
    const { status, body } = await a('POST', '/v1/auth/login', { body: { tenant, email, password } });
    assert.equal(status, 200);
    return body;
  };
  const refresh = (at: Http, token: string) =>
    at('POST', '/v1/auth/refresh', { body: { refresh_token: token } });
  const me = (at: Http, token: string) => at('GET', '/v1/auth/me', { token });
  const eventsOf = async (sessionId: string) => {
    const { rows } = await scene.owner.query<{
      aggregateid: string;
      type: string;
      payload: Buffer;
      tenant_id: string;
    }>('SELECT aggregateid, type, payload, tenant_id FROM identity.outbox ORDER BY created_at');
    const codec = createCodec({ registryUrl: stack().registryUrl });
    const events = await Promise.all(
      rows.map(async (row) => ({ ...row, value: (await codec.decode(row.payload)).value })),
    );
    return events.filter(({ value }) => Reflect.get(Object(value), 'session_id') === sessionId);
  };
  const age = (token: string, seconds: number) =>
    scene.owner.query(
      "UPDATE identity.refresh_token SET rotated_at = rotated_at - $2 * interval '1 s' WHERE token_hash = sha256($1::bytea)",
      [Buffer.from(token), seconds],
    );

  it('answers a sign-in with tokens and who it is', async () => {
    const body = await login(carla);
    assert.deepEqual(Object.keys(body).sort(), [
      'access_token',
      'expires_in',
      'refresh_token',
      'token_type',
      'user',
    ]);
    assert.equal(body.token_type, 'Bearer');
    assert.equal(body.expires_in, 900);
    assert.match(body.refresh_token, /^[\w-]{43}$/);
    assert.deepEqual(
      { id: body.user.id, email: body.user.email, roles: body.user.roles, active: body.user.active },
      { id: carla.id, email: carla.email, roles: ['customer'], active: true },
    );
    assert.equal('password_hash' in body.user, false);
    const claims = decodeJwt(body.access_token);
    assert.deepEqual(Object.keys(claims).sort(), [
      'aud',
      'exp',
      'iat',
      'iss',
      'jti',
      'roles',
      'sid',
      'sub',
      'tenant_id',
    ]);
    assert.equal(claims.sub, carla.id);
    assert.equal(claims.tenant_id, carla.tenant_id);
    assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 900);
  });

  it('accepts on one instance the token of the other', async () => {
    const { access_token } = await login(carla);
    const { status, body } = await me(b, access_token);
    assert.equal(status, 200);
    assert.equal(body.tenant, carla.tenant);
  });

  it('finds an address however it is spelled', async () => {
    const body = { tenant: carla.tenant, email: ` ${carla.email.toUpperCase()} `, password };
    assert.equal((await a('POST', '/v1/auth/login', { body })).status, 200);
  });

  it('hashes a password again when it was kept at another cost', async () => {
    const { zoe } = await makeTenant(scene, { zoe: ['customer'] });
    await login(zoe);
    const { rows } = await scene.owner.query(
      'SELECT password_hash FROM identity.user_account WHERE id = $1',
      [zoe.id],
    );
    assert.match(rows[0].password_hash, /m=19456,t=2,p=1/);
    await login(zoe);
  });

  it('gives a new refresh token with each use', async () => {
    const first = await login(carla);
    const second = await refresh(b, first.refresh_token);
    assert.equal(second.status, 200);
    assert.notEqual(second.body.refresh_token, first.refresh_token);
    const third = await refresh(a, second.body.refresh_token);
    assert.equal(third.status, 200);
    assert.equal(decodeJwt(third.body.access_token).sid, decodeJwt(first.access_token).sid);
  });

  it('gives twenty uses at the same moment on both instances the same successor', async () => {
    const { refresh_token } = await login(carla);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => refresh(i % 2 ? a : b, refresh_token)),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(new Set(answers.map(({ body }) => body.refresh_token)).size, 1);
    const { rows } = await scene.owner.query(
      'SELECT count(*) AS tokens FROM identity.refresh_token WHERE session_id = $1',
      [decodeJwt(answers[0]?.body.access_token).sid],
    );
    assert.equal(rows[0].tokens, 2);
  });

  it('ends the session when a token is used after its successor was, and tells it exactly once', async () => {
    const first = await login(carla);
    const sid = String(decodeJwt(first.access_token).sid);
    const second = (await refresh(a, first.refresh_token)).body;
    const third = (await refresh(b, second.refresh_token)).body;
    const answers = await Promise.all([a, b, a, b].map((at) => refresh(at, first.refresh_token)));
    for (const { status, body } of answers) assert.deepEqual([status, body.code], [401, 'unauthenticated']);
    assert.equal((await refresh(a, third.refresh_token)).status, 401, 'the family is over for its owner too');
    assert.equal((await me(a, third.access_token)).status, 401);

    const events = await eventsOf(sid);
    assert.equal(events.length, 1);
    const [event] = events;
    assert.deepEqual([event?.aggregateid, event?.type], [carla.id, 'session_revoked']);
    const value: Record<string, unknown> = Object(event?.value);
    assert.deepEqual([value.tenant_id, value.user_id, value.session_id], [carla.tenant_id, carla.id, sid]);
    const remembered = Date.parse(String(value.valid_until)) - Date.parse(String(value.occurred_at));
    assert.ok(remembered >= 900_000, 'at least as long as an access token lives');
  });

  it('ends the session when a token is used again after the ten seconds, although the successor is unused', async () => {
    const first = await login(carla);
    const second = (await refresh(a, first.refresh_token)).body;
    await age(first.refresh_token, 9);
    assert.equal((await refresh(b, first.refresh_token)).body.refresh_token, second.refresh_token);
    await age(first.refresh_token, 2);
    assert.equal((await refresh(b, first.refresh_token)).status, 401);
    assert.equal((await refresh(a, second.refresh_token)).status, 401);
    assert.equal((await eventsOf(String(decodeJwt(first.access_token).sid))).length, 1);
  });

  it('refuses what is no refresh token, or has expired, without telling which', async () => {
    const { refresh_token } = await login(carla);
    await scene.owner.query(
      "UPDATE identity.refresh_token SET expires_at = now() - interval '1 s' WHERE token_hash = sha256($1::bytea)",
      [Buffer.from(refresh_token)],
    );
    const tokens = [refresh_token, 'x', 'A'.repeat(43), `${refresh_token}=`, '\u{1f600}'];
    const answers = await Promise.all(tokens.map((token) => refresh(a, token)));
    for (const { status, body } of answers) {
      assert.equal(status, 401);
      assert.equal(body.detail, answers[0]?.body.detail);
    }
  });

  it('ends the session of a logout everywhere, once, by either token', async () => {
    for (const by of ['access', 'refresh']) {
      const { access_token, refresh_token } = await login(carla);
      const request = by === 'access' ? { token: access_token } : { body: { refresh_token } };
      assert.equal((await a('POST', '/v1/auth/logout', request)).status, 204);
      assert.equal((await b('POST', '/v1/auth/logout', request)).status, 204);
      assert.equal((await refresh(b, refresh_token)).status, 401);
      assert.equal((await me(b, access_token)).status, 401);
      assert.equal((await b('POST', '/v1/auth/tickets', { token: access_token })).status, 401);
      assert.equal((await eventsOf(String(decodeJwt(access_token).sid))).length, 1, by);
    }
    assert.equal((await a('POST', '/v1/auth/logout')).status, 401);
    assert.equal(
      (await a('POST', '/v1/auth/logout', { body: { refresh_token: 'A'.repeat(43) } })).status,
      204,
    );
  });

  it('redeems a ticket once, however many try on both instances', async () => {
    const { access_token } = await login(carla);
    const { status, body } = await a('POST', '/v1/auth/tickets', { token: access_token });
    assert.deepEqual([status, body.expires_in], [200, 30]);
    const redeem = (at: Http) => at('POST', '/internal/tickets/redeem', { body: { ticket: body.ticket } });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => redeem(i % 2 ? a : b)));
    const good = answers.filter((answer) => answer.status === 200);
    assert.equal(good.length, 1);
    assert.ok(answers.every((answer) => answer.status === 200 || answer.status === 401));
    const claims = decodeJwt(good[0]?.body.access_token);
    assert.deepEqual([claims.sub, claims.sid], [carla.id, decodeJwt(access_token).sid]);
    assert.equal((await me(b, good[0]?.body.access_token)).status, 200);
  });

  it('refuses a ticket that is too old, or whose session has ended', async () => {
    const { access_token } = await login(carla);
    const ticket = async () => (await a('POST', '/v1/auth/tickets', { token: access_token })).body.ticket;
    const redeem = async (it: string) =>
      (await b('POST', '/internal/tickets/redeem', { body: { ticket: it } })).status;
    const old = await ticket();
    await scene.owner.query("UPDATE identity.ticket SET expires_at = expires_at - interval '31 s'");
    assert.equal(await redeem(old), 401);
    const orphan = await ticket();
    await a('POST', '/v1/auth/logout', { token: access_token });
    assert.equal(await redeem(orphan), 401);
    assert.equal(await redeem('nonsense'), 401);
  });

  it('keeps neither refresh tokens nor tickets in a readable form', async () => {
    const { access_token, refresh_token } = await login(carla);
    const successor = (await refresh(a, refresh_token)).body.refresh_token;
    const { ticket } = (await a('POST', '/v1/auth/tickets', { token: access_token })).body;
    const { rows } = await scene.owner.query<{ text: string }>(
      `SELECT t::text AS text FROM identity.refresh_token t UNION ALL SELECT t::text FROM identity.ticket t
       UNION ALL SELECT k::text FROM identity.signing_key k`,
    );
    const all = rows.map(({ text }) => text).join('\n');
    for (const token of [refresh_token, successor, ticket]) {
      assert.equal(all.includes(token), false);
      assert.equal(all.includes(Buffer.from(token).toString('hex')), false);
      assert.equal(all.includes(Buffer.from(token, 'base64url').toString('hex')), false);
    }
    assert.equal(/"d"|22643a/.test(all), false, 'no private key');
  });

  it('sweeps away what has expired, and nothing else', async () => {
    const { access_token, refresh_token } = await login(carla);
    const kept = (await refresh(a, refresh_token)).body.refresh_token;
    for (let i = 0; i < 3; i++) await a('POST', '/v1/auth/tickets', { token: access_token });
    await scene.owner.query("UPDATE identity.ticket SET expires_at = now() - interval '1 s'");
    // One row of a kind at a time: it goes on while there is more.
    const day = 24 * 3_600_000;
    const swept = await sessionStore(scene.service, { refreshTokenMs: day, sessionMs: day }).sweep(1);
    assert.ok(swept >= 3);
    const left = await scene.owner.query('SELECT count(*) AS count FROM identity.ticket');
    assert.equal(left.rows[0].count, 0);
    assert.equal((await refresh(b, kept)).status, 200);
  });
  it('answers wrong credentials of every kind alike', async () => {
    const { gone } = await makeTenant(scene, { gone: ['customer'] });
    await scene.owner.query('UPDATE identity.user_account SET active = false WHERE id = $1', [gone.id]);
    const right = { tenant: carla.tenant, email: carla.email, password };
    const wrong = [
      { ...right, tenant: 'no-such-tenant' },
      { ...right, email: 'nobody@example.com' },
      { ...right, password: 'wrong-password' },
      { tenant: gone.tenant, email: gone.email, password },
      { ...right, tenant: gone.tenant },
    ];
    const shapes = new Set<string>();
    for (const body of wrong) {
      const answer = await a('POST', '/v1/auth/login', { body, headers: someAddress() });
      const { request_id: _, ...rest } = answer.body;
      shapes.add(JSON.stringify([answer.status, rest, [...answer.headers.keys()].sort()]));
    }
    assert.equal(shapes.size, 1, [...shapes].join('\n'));
    assert.match([...shapes][0] ?? '', /^\[401,.*unauthenticated/);
  });
});
