import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { anOrderEvent } from '@ragline/schemas/samples';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { after, before, describe, it } from 'mocha';
import request from 'supertest';
import { startTokens } from '../../../tests/support/tokens.ts';
import { notificationsFor } from './domain.ts';
import { addRoutes } from './http.ts';
import { createRecent } from './recent.ts';
import { openStore } from './testing.ts';
import { traceFrom } from './trace.ts';

describe('REST of notifications', () => {
  let opened: ReturnType<typeof openStore>;
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  let app: ReturnType<typeof createApp>['app'];

  before(async () => {
    opened = openStore();
    tokens = await startTokens();
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const authentication = createAuthentication(tokens.settings);
    const api = createApi({ title: 'test', authentication });
    const { store } = opened;
    const webhooks = { recent: createRecent(), tracedDeliveries: async () => [] };
    const traceOf = traceFrom({
      instance: 'test-1',
      live: () => undefined,
      recent: createRecent(),
      store,
      webhooks,
    });
    addRoutes({ api, store, traceOf });
    const metrics = createMetrics({ service: 'test' });
    ({ app } = createApp({ service: 'test', log, metrics, health: createHealth(), api }));
  });
  after(async () => {
    await tokens.jwks.stop();
    await opened.pool.end();
  });

  it('lists, marks one, marks all, and lists what is unread', async () => {
    const { customer, keep } = await aTenant();
    for (let i = 0; i < 3; i += 1) await keep();
    const first = await customer('get', '/v1/notifications?limit=2');
    assert.equal(first.status, 200);
    assert.equal(first.body.data.length, 2);
    const rest = await customer('get', `/v1/notifications?limit=2&cursor=${first.body.next_cursor}`);
    assert.deepEqual([rest.body.data.length, rest.body.next_cursor], [1, null]);

    const { id } = first.body.data[0];
    const read = await customer('post', `/v1/notifications/${id}/read`);
    assert.deepEqual([read.status, read.body.id, typeof read.body.read_at], [200, id, 'string']);
    assert.equal((await customer('get', '/v1/notifications?unread=true')).body.data.length, 2);
    assert.equal((await customer('get', '/v1/notifications?unread=false')).body.data.length, 1);
    assert.deepEqual((await customer('post', '/v1/notifications/read-all')).body, { read: 2 });
    assert.deepEqual((await customer('get', '/v1/notifications?unread=true')).body.data, []);
  });

  const refusals: [string, 'get' | 'post', string, number, string][] = [
    ['an id that is none', 'post', '/v1/notifications/17/read', 404, 'not_found'],
    ['an id of nobody', 'post', `/v1/notifications/${randomUUID()}/read`, 404, 'not_found'],
    ['a cursor that is none', 'get', '/v1/notifications?cursor=abc', 400, 'malformed'],
    ['a cursor of another list', 'get', '/v1/notifications?cursor=WzEsMl0', 400, 'malformed'],
    ['a limit beyond the bounds', 'get', '/v1/notifications?limit=201', 422, 'invalid'],
    ['an odd word for unread', 'get', '/v1/notifications?unread=perhaps', 422, 'invalid'],
    ['traces for customers', 'get', `/internal/trace/${randomUUID()}`, 403, 'forbidden'],
  ];
  for (const [what, method, path, status, code] of refusals) {
    it(`refuses ${what}`, async () => {
      const { customer } = await aTenant();
      const answer = await customer(method, path);
      assert.deepEqual([answer.status, answer.body.code], [status, code]);
    });
  }

  it('asks for a token', async () => {
    assert.equal((await request(app).get('/v1/notifications')).status, 401);
  });

  it('gives an operator no tenant’s notifications', async () => {
    const { as } = await aTenant();
    assert.equal((await as(['operator'])('get', '/v1/notifications')).status, 403);
  });

  it('shows an event’s fate to the tenant’s staff and to operators, and to nobody else', async () => {
    const { staff, as, keep } = await aTenant();
    const eventId = await keep();
    const { as: elsewhere } = await aTenant();
    const path = `/internal/trace/${eventId}`;
    const seen = await staff('get', path);
    assert.equal(seen.status, 200);
    const { group, outcome, attempts } = seen.body.groups[0];
    assert.deepEqual([group, outcome, attempts], ['notifications', 'handled', null]);
    assert.equal((await as(['operator'])('get', path)).status, 200);
    assert.equal((await elsewhere(['admin'])('get', path)).status, 404);
    assert.equal((await staff('get', `/internal/trace/${randomUUID()}`)).status, 404);
  });

  async function aTenant() {
    const tenant_id = randomUUIDv7();
    const as = (roles: string[], user_id: string = randomUUIDv7()) => {
      const token = tokens.token({ tenant_id, user_id, roles });
      return async (method: 'get' | 'post', path: string) =>
        request(app)
          [method](path)
          .set('authorization', `Bearer ${await token}`);
    };
    const user_id = randomUUIDv7();
    const keep = async (): Promise<string> => {
      const event = anOrderEvent({ tenant_id, user_id });
      const notifications = notificationsFor(event);
      // The group's own name: its fate is what a trace shows.
      await opened.keep('notifications', [{ event_id: event.event_id, traceparent: '', notifications }]);
      return event.event_id;
    };
    return { as, staff: as(['staff']), customer: as(['customer'], user_id), keep };
  }
});
