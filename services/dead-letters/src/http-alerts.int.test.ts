import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createPool, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createHealth } from '@ragline/runtime/health';
import { createMetrics } from '@ragline/runtime/metrics';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { after, before, describe, it } from 'mocha';
import request from 'supertest';
import { startTokens } from '../../../tests/support/tokens.ts';
import { addAlertRoutes } from './http-alerts.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const path = '/v1/dead-letters/alerts';
const rule = {
  kind: 'volume',
  group: '*',
  raise_at: 10,
  clear_below: 5,
  raise_after_s: 0,
  clear_after_s: 60,
};

describe('REST of alerts', function () {
  this.timeout(60_000);
  let database: Awaited<ReturnType<typeof scratchDatabase>>;
  let tokens: Awaited<ReturnType<typeof startTokens>>;
  let pool: Pool;
  let owner: Pool;
  let app: ReturnType<typeof createApp>['app'];

  before(async () => {
    database = await scratchDatabase();
    pool = poolOf('ragline_dead_letters', 4, database.name);
    const metrics = createMetrics({ service: 'test' });
    owner = createPool({ url: database.url, max: 2, applicationName: 'test-owner', log, metrics });
    tokens = await startTokens();
    const api = createApi({ title: 'test', authentication: createAuthentication(tokens.settings) });
    addAlertRoutes(api, { pool });
    ({ app } = createApp({ service: 'test', log, metrics, health: createHealth(), api }));
  });
  after(async () => {
    await tokens?.stop();
    await pool?.end();
    await owner?.end();
    await database?.drop();
  });

  it('begins with rules that page for what is many, old or fast', async () => {
    const { status, body } = await (await caller('operator'))('get', path);
    assert.equal(status, 200);
    const kinds = new Set(body.rules.map(({ kind }: { kind: string }) => kind));
    assert.deepEqual([...kinds].sort(), ['failure_rate', 'oldest_age', 'volume']);
    assert.deepEqual(body.alerts, []);
  });

  it('replaces all rules at once, and keeps the id of one that stays', async () => {
    const admin = await caller('admin');
    const first = await admin('put', path, { rules: [rule, { ...rule, group: null }] });
    assert.equal(first.status, 200);
    const second = await admin('put', path, { rules: [{ ...rule, raise_at: 20 }] });
    const [stays] = second.body.rules;
    assert.equal(second.body.rules.length, 1);
    assert.equal(stays.raise_at, 20);
    assert.ok(first.body.rules.some(({ id }: { id: string }) => id === stays.id));
  });

  it('shows an admin the own rules and alerts, and lets him touch no others', async () => {
    const operators = await anAlert(null);
    const [tenant, other] = [randomUUIDv7(), randomUUIDv7()];
    const own = await anAlert(tenant);
    const admin = await caller('admin', tenant);
    const { body } = await admin('get', path);
    assert.deepEqual(body.rules, []);
    assert.deepEqual(
      body.alerts.map(({ id }: { id: string }) => id),
      [own],
    );
    assert.equal((await admin('post', `${path}/${operators}/acknowledge`)).status, 404);
    assert.equal((await (await caller('admin', other))('post', `${path}/${own}/acknowledge`)).status, 404);
    assert.equal((await (await caller('operator'))('post', `${path}/${own}/acknowledge`)).status, 404);
    assert.equal((await (await caller('staff', tenant))('get', path)).status, 403);
  });

  it('keeps who acknowledged first, and writes each deed down', async () => {
    const id = await anAlert(null);
    const [one, two] = [randomUUIDv7(), randomUUIDv7()];
    const first = await (await caller('operator', undefined, one))('post', `${path}/${id}/acknowledge`);
    const second = await (await caller('operator', undefined, two))('post', `${path}/${id}/acknowledge`);
    assert.deepEqual([first.body.acknowledged_by, second.body.acknowledged_by], [one, one]);
    const { rows } = await owner.query(
      'SELECT verb, actor_user_id FROM dead_letters.action WHERE alert_id = $1 ORDER BY id',
      [id],
    );
    assert.deepEqual(rows, [
      { verb: 'alert_acknowledge', actor_user_id: one },
      { verb: 'alert_acknowledge', actor_user_id: two },
    ]);
  });

  it('silences until a time to come, and ends the silence', async () => {
    const id = await anAlert(null);
    const operator = await caller('operator');
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const silent = await operator('post', `${path}/${id}/silence`, { until });
    assert.deepEqual([silent.status, silent.body.silenced_until], [200, until]);
    const loud = await operator('post', `${path}/${id}/silence`, { until: null });
    assert.deepEqual([loud.body.silenced_until, loud.body.silenced_by], [null, null]);
    for (const wrong of [new Date(0).toISOString(), '2999-01-01T00:00:00.000Z', 'tomorrow']) {
      const refused = await operator('post', `${path}/${id}/silence`, { until: wrong });
      assert.deepEqual([refused.status, refused.body.errors[0].path], [422, 'until']);
    }
  });

  const refusals: [string, object, string][] = [
    ['a lower threshold above the upper', { ...rule, clear_below: 11 }, 'rules.0.clear_below'],
    ['a threshold of nothing', { ...rule, clear_below: 0 }, 'rules.0.clear_below'],
    ['a kind that there is not', { ...rule, kind: 'weight' }, 'rules.0.kind'],
    ['a field that there is not', { ...rule, page: true }, 'rules.0.page'],
  ];
  for (const [what, wrong, at] of refusals) {
    it(`refuses ${what}`, async () => {
      const { status, body } = await (await caller('operator'))('put', path, { rules: [wrong] });
      assert.deepEqual([status, body.errors[0].path], [422, at]);
    });
  }

  it('refuses two rules about the same', async () => {
    const { status } = await (await caller('operator'))('put', path, { rules: [rule, rule] });
    assert.equal(status, 422);
  });

  async function caller(role: string, tenant_id: string = randomUUIDv7(), user_id: string = randomUUIDv7()) {
    const token = await tokens.token({ tenant_id, user_id, roles: [role] });
    return async (method: 'get' | 'put' | 'post', to: string, body?: object) => {
      const call = request(app)[method](to).set('authorization', `Bearer ${token}`);
      return body === undefined ? call : call.send(body);
    };
  }

  async function anAlert(tenant: string | null): Promise<string> {
    const { rows } = await owner.query<{ id: string }>(
      `INSERT INTO dead_letters.alert (tenant_id, kind, group_id, state, value, threshold, pending_since, raised_at)
       VALUES ($1, 'volume', $2, 'raised', 12, 10, now(), now()) RETURNING id`,
      [tenant, randomUUIDv7()],
    );
    return rows[0]?.id ?? '';
  }
});
