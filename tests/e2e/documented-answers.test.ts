/** What is answered, over REST, sockets and streams, is what the documents say: nothing else, and nothing more. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventSource } from 'eventsource';
import { before, describe, it } from 'mocha';
import WebSocket from 'ws';
import { signIn } from '../faults/session.ts';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { type Documented, documented } from './documented.ts';
import { type Json, objectAt, validatorOf } from './openapi-faults.ts';

const origin = setting('RAGLINE_URL');
const password = setting('RAGLINE_DEMO_PASSWORD');
const http = httpTo(origin);

const users = {
  customer: ['demo', 'customer@demo.example'],
  staff: ['demo', 'staff@demo.example'],
  admin: ['demo', 'admin@demo.example'],
  operator: ['ragline', 'operator@ragline.example'],
} as const;

describe('what the documents say', function () {
  this.timeout(60_000);
  const tokens: Record<string, string> = {};
  let ask: Documented;
  let openapi: Json;
  let product: string;

  before(async () => {
    openapi = (await http<Json>('GET', '/openapi.json')).body;
    ask = documented(origin, openapi);
    for (const [role, [tenant, email]] of Object.entries(users)) {
      tokens[role] = await (await signIn(origin, tenant, email, password)).token();
    }
    product = (await http('GET', '/v1/products?limit=1&available=true', as('customer'))).body.data[0].id;
  });

  const as = (role: keyof typeof users) => ({ token: tokens[role] ?? '' });
  const once = () => ({ headers: { 'idempotency-key': randomUUID() } });
  const placed = async () => {
    const body = { items: [{ product_id: product, quantity: 1 }] };
    return (await ask('POST /v1/orders', { ...as('customer'), ...once(), body }, 201)).body;
  };

  it('is so of signing in', async () => {
    const [tenant, email] = users.customer;
    const { body } = await ask('POST /v1/auth/login', { body: { tenant, email, password } });
    await ask('POST /v1/auth/refresh', { body: { refresh_token: body.refresh_token } });
    await ask('GET /v1/auth/me', as('customer'));
    await ask('POST /v1/auth/tickets', as('customer'));
    await ask('GET /.well-known/jwks.json');
    await ask('POST /v1/auth/login', { body: { tenant, email, password: 'wrong' } }, 401);
    const listed = await ask('GET /v1/users', as('admin'));
    await ask('GET /v1/users/{id}', { ...as('admin'), params: { id: listed.body.data[0].id } });
    await ask('GET /v1/tenants', as('operator'));
  });

  it('is so of the catalogue', async () => {
    await ask('GET /v1/products', { ...as('customer'), query: '?q=soup&limit=2' });
    const body = { name: `Test ${randomUUID()}`, price: 700, currency: 'EUR' };
    const made = await ask('POST /v1/products', { ...as('staff'), ...once(), body }, 201);
    const params = { id: made.body.id };
    await ask('PATCH /v1/products/{id}', { ...as('staff'), params, body: { price: 710 } });
    const stale = { 'if-match': '"1"' };
    await ask(
      'PATCH /v1/products/{id}',
      { ...as('staff'), params, headers: stale, body: { price: 720 } },
      412,
    );
    await ask('GET /v1/products/{id}', { ...as('staff'), params });
    await ask('DELETE /v1/products/{id}', { ...as('staff'), params }, 204);
    await ask('GET /v1/products/{id}', { ...as('staff'), params }, 404);
    await ask('GET /v1/promotions', as('staff'));
    await ask('GET /v1/promotions/running', as('customer'));
  });

  it('is so of orders', async () => {
    const items = [{ product_id: product, quantity: 2 }];
    const { body: quote } = await ask('POST /v1/orders/quote', { ...as('customer'), body: { items } });
    const request = { ...as('customer'), ...once(), body: { items, quote_token: quote.quote_token } };
    const { body: order } = await ask('POST /v1/orders', request, 201);
    const again = await ask('POST /v1/orders', request, 201);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    await ask('POST /v1/orders', { ...request, body: { items: [] } }, 422);
    await ask('POST /v1/orders', { ...as('customer'), body: { items } }, 400);
    const params = { id: order.id };
    await ask('GET /v1/orders', { ...as('customer'), query: '?limit=1' });
    await ask('GET /v1/orders/{id}', { ...as('customer'), params });
    const { body: history } = await ask('GET /v1/orders/{id}/history', { ...as('customer'), params });
    await ask('POST /v1/orders/{id}/status', { ...as('staff'), params, body: { status: 'confirmed' } });
    await ask('POST /v1/orders/{id}/cancel', { ...as('customer'), params, body: {} }, 409);
    await ask('POST /v1/orders/{id}/cancel', { ...as('staff'), params, body: { reason: 'a test' } });
    await ask('GET /v1/orders', {}, 401);
    await ask('GET /v1/promotions', as('customer'), 403);
    const event = { event_id: history.data[0].event_id };
    await eventually(async () => ask('GET /v1/events/{event_id}/trace', { ...as('staff'), params: event }));
  });

  it('is so of notifications and webhooks', async () => {
    await ask('GET /v1/notifications', as('customer'));
    await ask('POST /v1/notifications/read-all', as('customer'));
    await ask('GET /v1/notification-preferences', as('customer'));
    // The stack under test is allowed to call this machine; nobody is called.
    const url = `http://127.0.0.1:${new URL(origin).port}/nowhere`;
    const body = { url, event_types: ['order_created'], active: false };
    const made = await ask('POST /v1/webhooks', { ...as('admin'), ...once(), body }, 201);
    const params = { id: made.body.id };
    await ask('GET /v1/webhooks', as('admin'));
    await ask('GET /v1/webhooks/{id}', { ...as('admin'), params });
    await ask('GET /v1/webhooks/{id}/deliveries', { ...as('admin'), params });
    await ask('DELETE /v1/webhooks/{id}', { ...as('admin'), params }, 204);
  });

  it('is so of the assistant, and of what it knows', async () => {
    const { body: conversation } = await ask('POST /v1/conversations', { ...as('customer'), body: {} }, 201);
    const params = { id: conversation.id };
    const asked = { ...as('customer'), params, body: { content: 'Is there a soup?' }, withinMs: 40_000 };
    await ask('POST /v1/conversations/{id}/messages', asked);
    const later = { ...asked, headers: { prefer: 'respond-async' } };
    await ask('POST /v1/conversations/{id}/messages', later, 202);
    await ask('POST /v1/conversations/{id}/stop', { ...as('customer'), params }, 202);
    await ask('GET /v1/conversations', as('customer'));
    await ask('GET /v1/conversations/{id}', { ...as('customer'), params });
    await ask('GET /v1/conversations/{id}/messages', { ...as('customer'), params });
    await ask('GET /v1/tools', as('staff'));
    await ask('GET /v1/knowledge/search', { ...as('customer'), query: '?q=soup&limit=2' });
    await ask('GET /v1/knowledge/coverage', as('staff'));
    await ask('GET /v1/knowledge/models', as('operator'));
    const listed = await ask('GET /v1/knowledge/documents', { ...as('staff'), query: '?limit=1' });
    await ask('GET /v1/knowledge/documents/{id}', { ...as('staff'), params: { id: listed.body.data[0].id } });
    await ask('GET /v1/openai/models', as('customer'));
    await ask('GET /v1/openai/models', {}, 401);
    await ask('GET /v1/openai/models/{model}', { ...as('customer'), params: { model: 'none' } }, 404);
  });

  it('is so of dead letters, and of the whole', async () => {
    for (const path of ['', '/groups', '/stats', '/alerts', '/batches']) {
      await ask(`GET /v1/dead-letters${path}`, as('operator'));
    }
    await ask('GET /v1/parked-keys', as('operator'));
    const body = { filter: { error_code: 'none' }, action: 'replay', reason: 'a test', dry_run: true };
    await ask('POST /v1/dead-letters/batches', { ...as('operator'), body });
    const params = { id: randomUUID() };
    await ask('PATCH /v1/dead-letters/{id}', { ...as('operator'), params, body: { note: 'a test' } }, 428);
    await ask('GET /v1/system', as('operator'));
    await ask('GET /healthz');
    await ask('GET /readyz');
  });

  it('is so of sockets', async () => {
    const asyncapi = (await http<Json>('GET', '/asyncapi.json')).body;
    const fits = messageJudge(asyncapi, 'ws');
    const socket = new WebSocket(new URL('/ws', origin.replace(/^http/, 'ws')), {
      headers: { authorization: `Bearer ${tokens.customer}` },
    });
    const heard: Json[] = [];
    socket.on('message', (data) => heard.push(JSON.parse(String(data))));
    socket.on('open', () => {
      for (const channel of ['orders', 'notifications', 'nothing']) {
        socket.send(JSON.stringify({ type: 'subscribe', id: channel, channel }));
      }
    });
    try {
      await eventually(() => assert.ok(heard.some(({ id, type }) => id === 'nothing' && type === 'error')));
      const order = await placed();
      await eventually(() => {
        assert.ok(
          heard.some(
            ({ channel, data }) => channel === 'orders' && JSON.stringify(data ?? null).includes(order.id),
          ),
        );
        assert.ok(heard.some(({ channel, type }) => channel === 'notifications' && type === 'event'));
      });
    } finally {
      socket.terminate();
    }
    assert.deepEqual(heard.flatMap(fits), []);
  });

  it('is so of streams', async () => {
    const { itemSchema } = objectAt(
      objectAt(operationOf(openapi, '/v1/events/orders').responses['200'], 'content'),
      'text/event-stream',
    );
    const fault = validatorOf(openapi, { isClosed: true });
    const { body } = await ask('POST /v1/auth/tickets', as('customer'));
    const source = new EventSource(new URL(`/v1/events/orders?ticket=${body.ticket}`, origin));
    const items: Json[] = [];
    for (const type of ['cursor', 'order_created']) {
      source.addEventListener(type, ({ lastEventId: id, data }) => items.push({ id, event: type, data }));
    }
    try {
      await eventually(() => assert.ok(items.length > 0));
      const order = await placed();
      await eventually(() => assert.ok(items.some(({ data }) => String(data).includes(order.id))));
    } finally {
      source.close();
    }
    for (const item of items) assert.equal(fault(itemSchema, item), undefined, JSON.stringify(item));
    const data = items
      .filter(({ event }) => event === 'order_created')
      .map((it) => JSON.parse(String(it.data)));
    const live = { $ref: '#/components/schemas/LiveOrderEvent' };
    for (const one of data) assert.equal(fault(live, one), undefined, JSON.stringify(one));
  });
});

/** Says of a message that came on a socket whether it is one of those that may. */
function messageJudge(asyncapi: Json, channel: string): (message: Json) => string[] {
  const fault = validatorOf(asyncapi, { isClosed: true });
  const names = Object.keys(objectAt(objectAt(objectAt(asyncapi, 'channels'), channel), 'messages'));
  const messages = objectAt(objectAt(asyncapi, 'components'), 'messages');
  const known = names.map((name) => objectAt(messages, name)).map(({ name, payload }) => ({ name, payload }));
  return (message) => {
    const faults = known
      .filter(({ name }) => name === message.type)
      .map(({ payload }) => fault(payload, message));
    if (faults.includes(undefined)) return [];
    return [`${JSON.stringify(message)}: ${faults.join(' | ') || 'no such message'}`];
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the schemas of OpenAPI are judged elsewhere.
const operationOf = (openapi: Json, path: string): any =>
  objectAt(objectAt(objectAt(openapi, 'paths'), path), 'get');

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; see "npx ragline env"`);
  return value;
}
