/** What a user wants to hear of: put over REST, kept to on sockets and in the list, in the same breath. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { type Session, signIn } from '../faults/session.ts';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { type Documented, documented } from './documented.ts';

const origin = setting('RAGLINE_URL');
const password = setting('RAGLINE_DEMO_PASSWORD');
const http = httpTo(origin);
const path = '/v1/notification-preferences';

describe('preferences through the gateway', function () {
  this.timeout(60_000);
  let ask: Documented;
  let admin: Session;
  let product: string;

  before(async () => {
    ask = documented(origin, (await http('GET', '/openapi.json')).body);
    admin = await signIn(origin, 'demo', 'admin@demo.example', password);
    const { body } = await http('GET', '/v1/products?limit=1&available=true', { token: await admin.token() });
    product = body.data[0].id;
  });

  /** A customer whom no other test knows. */
  async function somebody(): Promise<Session> {
    const email = `${randomUUID()}@demo.example`;
    const secret = randomUUID();
    const body = { email, password: secret, roles: ['customer'] };
    const { status, text } = await http('POST', '/v1/users', { token: await admin.token(), body });
    assert.equal(status, 201, text);
    return signIn(origin, 'demo', email, secret);
  }

  async function ordered(by: Session): Promise<string> {
    const { status, body, text } = await http('POST', '/v1/orders', {
      token: await by.token(),
      headers: { 'idempotency-key': randomUUID() },
      body: { items: [{ product_id: product, quantity: 1 }] },
    });
    assert.equal(status, 201, text);
    return body.id;
  }

  /** A socket that follows the user's notifications, and the kinds that it was told of. */
  async function follow(user: Session) {
    const ws = new WebSocket(`${origin.replace(/^http/, 'ws')}/ws`, ['ragline.v1.json'], {
      headers: { authorization: `Bearer ${await user.token()}` },
    });
    const messages: {
      type: string;
      event_type?: string;
      data?: { notification?: { kind: string } | null };
    }[] = [];
    ws.on('message', (data) => messages.push(JSON.parse(String(data))));
    ws.on('open', () => ws.send(JSON.stringify({ type: 'subscribe', id: 1, channel: 'notifications' })));
    await eventually(() => messages.some(({ type }) => type === 'cursor'));
    return {
      kinds: () => messages.flatMap(({ data }) => data?.notification?.kind ?? []),
      changes: () => messages.filter((it) => it.event_type === 'notification_preferences_changed').length,
      close: () => ws.close(),
    };
  }

  it('are read and replaced as the document says', async () => {
    const token = await (await somebody()).token();
    const usual = await ask(`GET ${path}`, { token });
    assert.equal(usual.body.version, 0);
    const body = { quiet_hours: { from: '22:00', to: '07:00', time_zone: 'Europe/Berlin' } };
    const put = await ask(`PUT ${path}`, { token, body, headers: { 'if-match': '"0"' } });
    assert.deepEqual([put.body.version, put.headers.get('etag')], [1, '"1"']);
    await ask(`PUT ${path}`, { token, body, headers: { 'if-match': '"0"' } }, 412);
    await ask(
      `PUT ${path}`,
      { token, body: { quiet_hours: { ...body.quiet_hours, time_zone: 'Mars' } } },
      422,
    );
    await ask(`PUT ${path}`, { token, body: { loud: true } }, 422);
    assert.deepEqual((await ask(`GET ${path}`, { token })).body, put.body);
    await ask(`GET ${path}`, {}, 401);
  });

  it('keep from a socket what is muted, and leave it in the list', async () => {
    const user = await somebody();
    const socket = await follow(user);
    const body = { events: { order_created: { live: false }, order_cancelled: { list: false } } };
    await ask(`PUT ${path}`, { token: await user.token(), body });
    await eventually(() => socket.changes() === 1);
    const id = await ordered(user);
    const cancelled = await http('POST', `/v1/orders/${id}/cancel`, { token: await user.token(), body: {} });
    assert.equal(cancelled.status, 200, cancelled.text);
    await eventually(() => socket.kinds().includes('order_cancelled'));
    assert.deepEqual(socket.kinds(), ['order_cancelled']);
    const { body: listed } = await http('GET', '/v1/notifications', { token: await user.token() });
    assert.deepEqual(
      listed.data.map(({ kind }: { kind: string }) => kind),
      ['order_created'],
    );
    socket.close();
  });

  it('changed, tell at once what waited for a digest: how many, and no more', async () => {
    const user = await somebody();
    const socket = await follow(user);
    const body = { events: { order_created: { live: 'digest' } }, digest_minutes: 60 };
    await ask(`PUT ${path}`, { token: await user.token(), body });
    await ordered(user);
    await ordered(user);
    const list = async () =>
      (await http('GET', '/v1/notifications', { token: await user.token() })).body.data;
    await eventually(async () => (await list()).length === 2);
    assert.deepEqual(socket.kinds(), []);
    await ask(`PUT ${path}`, { token: await user.token(), body: {} });
    await eventually(() => socket.kinds().length > 0, { withinMs: 30_000 });
    assert.deepEqual(socket.kinds(), ['notifications_digest']);
    assert.equal((await list())[0].title, '2 orders of yours were received');
    socket.close();
  });
});

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set. Run it by: npm test -- --only e2e`);
  return value;
}
