import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createCodec } from '@ragline/schemas/codec';
import { decodeJwt } from 'jose';
import { after, before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { type RecordTap, startRecordTap } from '../../connectors/record-tap.ts';
import { eventually } from '../support/eventually.ts';
import { type Http, httpTo } from '../support/http.ts';
import { stack } from '../support/stack.ts';

const password = 'window-29-lamp';
type Grant = { access_token: string; refresh_token: string; user: { id: string; tenant_id: string } };

describe('identity through the gateway', function () {
  this.timeout(60_000);
  let url: string;
  let http: Http;
  let demoPassword: string;
  let admin: string;
  let tap: RecordTap;
  const sockets = new Set<WebSocket>();

  before(async () => {
    url = setting('RAGLINE_URL');
    demoPassword = setting('RAGLINE_DEMO_PASSWORD');
    http = httpTo(url);
    admin = (await login('admin@demo.example', demoPassword)).access_token;
    tap = await startRecordTap({ kafka: stack().kafka, topics: ['identity.revocations.v1'] });
  });
  after(async () => {
    for (const socket of sockets) socket.terminate();
    await tap?.stop();
  });

  const login = async (email: string, secret: string, tenant = 'demo'): Promise<Grant> => {
    const { status, body, text } = await http('POST', '/v1/auth/login', {
      body: { tenant, email, password: secret },
    });
    assert.equal(status, 200, text);
    return body;
  };
  /** Somebody of the tenant demo whom no other test knows, signed in. */
  const somebody = async (roles = ['customer']): Promise<Grant & { email: string }> => {
    const email = `${randomUUID()}@demo.example`;
    const { status, text } = await http('POST', '/v1/users', {
      token: admin,
      body: { email, password, roles },
    });
    assert.equal(status, 201, text);
    return { ...(await login(email, password)), email };
  };
  /** A socket that is open and welcomed; `closed` is its close code once it has one. */
  const socket = async (query: string, headers: Record<string, string> = {}) => {
    const ws = new WebSocket(`${url.replace(/^http/, 'ws')}/ws/orders${query}`, ['ragline.v1.json'], {
      headers,
    });
    sockets.add(ws);
    const state: { closed: number | undefined } = { closed: undefined };
    ws.on('close', (code) => {
      state.closed = code;
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    ws.on('error', reject);
    ws.on('unexpected-response', (_req, res) => reject(new Error(`answered ${res.statusCode}`)));
    ws.once('message', () => resolve());
    await promise;
    return state;
  };
  const withToken = ({ access_token }: Grant) => socket('', { authorization: `Bearer ${access_token}` });
  const patch = (id: string, body: object) => http('PATCH', `/v1/users/${id}`, { token: admin, body });
  const refresh = (token: string) => http('POST', '/v1/auth/refresh', { body: { refresh_token: token } });

  it('signs in, says who it is, and its token is good at every service', async () => {
    const { access_token: token, user } = await login('customer@demo.example', demoPassword);
    const me = await http('GET', '/v1/auth/me', { token });
    assert.deepEqual([me.status, me.body.id, me.body.tenant], [200, user.id, 'demo']);
    assert.equal((await http('GET', '/v1/products?limit=1', { token })).status, 200);
    assert.equal((await http('GET', '/v1/notifications?limit=1', { token })).status, 200);
    const [head, , signature] = token.split('.');
    const claims = Buffer.from(JSON.stringify({ ...decodeJwt(token), roles: ['admin'] })).toString(
      'base64url',
    );
    for (const path of ['/v1/auth/me', '/v1/products', '/v1/notifications']) {
      assert.equal((await http('GET', path, { token: `${head}.${claims}.${signature}` })).status, 401, path);
    }
  });

  it('answers a wrong password as it answers an unknown user or tenant', async () => {
    const email = 'customer@demo.example';
    const bodies = [
      { tenant: 'demo', email: `${randomUUID()}@demo.example`, password },
      { tenant: `no-${randomUUID()}`, email, password },
    ];
    const known = await somebody();
    bodies.push({ tenant: 'demo', email: known.email, password: 'not-the-password' });
    for (const body of bodies) {
      const answer = await http('POST', '/v1/auth/login', { body });
      assert.deepEqual([answer.status, answer.body.code], [401, 'unauthenticated']);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
    }
  });

  it('has its sample users and roles, and an operator who sees all tenants and nobody’s users', async () => {
    for (const tenant of ['demo', 'acme']) {
      for (const role of ['customer', 'staff', 'admin']) {
        const { access_token } = await login(`${role}@${tenant}.example`, demoPassword, tenant);
        assert.deepEqual(decodeJwt(access_token).roles, [role]);
      }
    }
    const { access_token: token } = await login('operator@ragline.example', demoPassword, 'ragline');
    const { body } = await http('GET', '/v1/tenants?limit=200', { token });
    const slugs = body.data.map(({ slug }: { slug: string }) => slug);
    for (const slug of ['demo', 'acme', 'ragline', 'sentinel']) assert.ok(slugs.includes(slug), slug);
    assert.equal((await http('GET', '/v1/users', { token })).status, 403);
    assert.equal((await http('GET', '/v1/tenants', { token: admin })).status, 403);
  });

  it('publishes its keys, and keeps what is internal to itself', async () => {
    const { status, body } = await http('GET', '/.well-known/jwks.json');
    assert.equal(status, 200);
    assert.ok(body.keys.length >= 2, 'two keys live at once');
    for (const path of [
      '/internal/tickets/redeem',
      '/%69nternal/tickets/redeem',
      '/v1/auth/..%2f..%2finternal/tickets/redeem',
    ]) {
      const answer = await http('POST', path, { body: { ticket: 'A'.repeat(43) } });
      assert.ok(answer.status === 404 || answer.status === 400, `${path}: ${answer.status}`);
    }
  });

  it('cuts the sockets of a session that signs out, and no others of the user', async () => {
    const person = await somebody();
    const elsewhere = await login(person.email, password);
    const [mine, other] = [await withToken(person), await withToken(elsewhere)];
    assert.equal((await http('POST', '/v1/auth/logout', { token: person.access_token })).status, 204);
    await eventually(() => assert.equal(mine.closed, 4401));
    assert.equal(other.closed, undefined);
    await assert.rejects(withToken(person), /answered 401/);
    assert.equal((await refresh(person.refresh_token)).status, 401);
    assert.equal((await refresh(elsewhere.refresh_token)).status, 200);
  });

  it('cuts the sockets of a stolen session, and tells of it once on identity.revocations.v1', async () => {
    const person = await somebody();
    const open = await withToken(person);
    const stolen = (await refresh(person.refresh_token)).body;
    await refresh(stolen.refresh_token);
    assert.equal((await refresh(person.refresh_token)).status, 401);
    await eventually(() => assert.equal(open.closed, 4401));

    const records = () => tap.records.filter(({ key }) => key === person.user.id);
    await eventually(() => assert.equal(records().length, 1));
    const [record] = records();
    const codec = createCodec({ registryUrl: stack().registryUrl });
    const { value } = await codec.decode(record?.value ?? Buffer.alloc(0));
    const event: Record<string, unknown> = Object(value);
    assert.deepEqual(
      [event.event_type, event.user_id, event.session_id, event.tenant_id],
      ['session_revoked', person.user.id, decodeJwt(person.access_token).sid, person.user.tenant_id],
    );
    const { id, event_type, tenant_id, user_id, 'content-type': type } = record?.headers ?? {};
    assert.deepEqual(
      { id, event_type, tenant_id, user_id, type },
      {
        id: event.event_id,
        event_type: 'session_revoked',
        tenant_id: person.user.tenant_id,
        user_id: person.user.id,
        type: 'application/avro',
      },
    );
  });

  it('cuts all sockets of a user who is given another password, and lets the new sign-in connect at once', async () => {
    const person = await somebody();
    const opened = [await withToken(person), await withToken(await login(person.email, password))];
    assert.equal((await patch(person.user.id, { password: `${password}-2` })).status, 200);
    const again = await login(person.email, `${password}-2`);
    await eventually(() =>
      assert.deepEqual(
        opened.map(({ closed }) => closed),
        [4401, 4401],
      ),
    );
    const open = await withToken(again);
    assert.equal(open.closed, undefined);
  });

  it('keeps out a user who is deactivated', async () => {
    const person = await somebody(['staff']);
    const open = await withToken(person);
    assert.equal((await patch(person.user.id, { active: false })).status, 200);
    await eventually(() => assert.equal(open.closed, 4401));
    const { status } = await http('POST', '/v1/auth/login', {
      body: { tenant: 'demo', email: person.email, password },
    });
    assert.equal(status, 401);
    assert.equal((await refresh(person.refresh_token)).status, 401);
  });

  it('opens one socket with a ticket, and only one', async () => {
    const person = await somebody();
    const { body } = await http('POST', '/v1/auth/tickets', { token: person.access_token });
    assert.equal(body.expires_in, 30);
    const attempts = await Promise.allSettled([1, 2, 3].map(() => socket(`?ticket=${body.ticket}`)));
    assert.equal(attempts.filter(({ status }) => status === 'fulfilled').length, 1);
    await assert.rejects(socket(`?ticket=${body.ticket}`), /answered 401/);
    // The socket of a ticket belongs to the session, and ends with it.
    const [open] = attempts.flatMap((it) => (it.status === 'fulfilled' ? [it.value] : []));
    await http('POST', '/v1/auth/logout', { token: person.access_token });
    await eventually(() => assert.equal(open?.closed, 4401));
  });
});

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this by npm test, or beside "npm start"`);
  return value;
}
