import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { createHealth } from '@ragline/runtime/health';
import type { LogFields, Logger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { after, before, describe, it } from 'mocha';
import { z } from 'zod';
import { eventually } from '../../../tests/support/eventually.ts';
import { type Http, httpTo } from '../../../tests/support/http.ts';
import { startTokens } from '../../../tests/support/tokens.ts';
import { createApi } from './api.ts';
import { createApp } from './app.ts';
import { createAuthentication } from './auth.ts';
import { freeObject, idempotencyKey, int, money, text, timestamp, uuid } from './fields.ts';
import { pageQuery } from './pages.ts';
import { problem } from './problems.ts';
import { startServer } from './server.ts';

const id = '0199c0de-0000-7000-8000-000000000000';
const thing = { name: 'a', n: 1, price: 5, items: [] };

describe('a service on HTTP', () => {
  let service: Awaited<ReturnType<typeof startSample>>;
  let http: Http;
  before(async () => {
    service = await startSample();
    http = httpTo(service.url);
  });
  after(() => service.stop());

  describe('input', () => {
    it('that fits reaches the handler, typed', async () => {
      const answer = await http('POST', `/v1/things/${id}?limit=3`, {
        headers: { 'idempotency-key': '"key-1"' },
        body: thing,
      });
      assert.equal(answer.status, 201);
      assert.deepEqual(answer.body, {
        params: { id },
        query: { limit: 3 },
        headers: { 'idempotency-key': 'key-1' },
        body: thing,
      });
    });

    it('may lack an optional body', async () => {
      assert.equal((await http('POST', '/v1/optional')).body.body, null);
      assert.deepEqual((await http('POST', '/v1/optional', { body: { reason: 'late' } })).body.body, {
        reason: 'late',
      });
    });

    const refused: [name: string, body: unknown, path: string][] = [
      ['an unknown field', { ...thing, tenant_id: 'x' }, 'tenant_id'],
      ['an unknown field deep inside', { ...thing, items: [{ a: 1, b: 2 }] }, 'items.0.b'],
      ['a missing field', { ...thing, name: undefined }, 'name'],
      ['a wrong type', { ...thing, n: '1' }, 'n'],
      ['a fraction as a whole number', { ...thing, n: 1.5 }, 'n'],
      ['an integer beyond its range', { ...thing, n: 2 ** 31 }, 'n'],
      ['money beyond its range', { ...thing, price: 1e15 }, 'price'],
      ['an infinite number', '{"name":"a","n":1e999,"price":1,"items":[]}', 'n'],
      ['NUL in a text', { ...thing, name: 'a\0b' }, 'name'],
      ['half a surrogate pair', '{"name":"\\ud800","n":1,"price":1,"items":[]}', 'name'],
      ['a text that is too long', { ...thing, name: 'a'.repeat(11) }, 'name'],
      ['too many items', { ...thing, items: Array.from({ length: 10_000 }, () => ({ a: 1 })) }, 'items'],
      ['an array as the body', [thing], ''],
      ['a number as the body', 7, ''],
      ['null as the body', 'null', ''],
      ['a free object with NUL in a key', { ...thing, attributes: { 'a\0': 1 } }, 'attributes'],
      ['a free object that is nested deeply', { ...thing, attributes: nested(50) }, 'attributes'],
      [
        'a free object with an unsafe integer',
        '{"name":"a","n":1,"price":1,"items":[],"attributes":{"a":1e30}}',
        'attributes',
      ],
      [
        'a free object with an infinite number',
        '{"name":"a","n":1,"price":1,"items":[],"attributes":{"a":{"b":1e400}}}',
        'attributes',
      ],
      [
        'a free object with a __proto__ of its own',
        '{"name":"a","n":1,"price":1,"items":[],"attributes":{"__proto__":{"x":1}}}',
        'attributes',
      ],
      ['an impossible date', { ...thing, at: '2026-02-31T00:00:00Z' }, 'at'],
      ['a date far from RFC 3339', { ...thing, at: 'tomorrow' }, 'at'],
      ['a __proto__ of its own', '{"__proto__":{"x":1},"name":"a","n":1,"price":1,"items":[]}', '__proto__'],
    ];
    for (const [name, body, path] of refused) {
      it(`with ${name} is invalid, and the answer names the field`, async () => {
        const content = typeof body === 'string' ? { raw: body } : { body };
        const answer = await http('POST', `/v1/things/${id}`, {
          headers: { 'idempotency-key': 'k' },
          ...content,
        });
        assert.equal(answer.status, 422, answer.text);
        assert.equal(answer.body.code, 'invalid');
        assert.ok(
          answer.body.errors.some((error: { path: string }) => error.path === path),
          answer.text.slice(0, 300),
        );
      });
    }

    const unreadable: [
      name: string,
      raw: string | Uint8Array<ArrayBuffer>,
      type: string,
      status: number,
      code: string,
    ][] = [
      ['JSON cut short', '{"name":', 'application/json', 400, 'malformed'],
      ['a trailing comma', '{"name":"a",}', 'application/json', 400, 'malformed'],
      [
        'no UTF-8',
        Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
        'application/json',
        400,
        'malformed',
      ],
      ['half a megabyte of brackets', '['.repeat(500_000), 'application/json', 400, 'malformed'],
      [
        'brackets within brackets',
        `${'['.repeat(400_000)}${']'.repeat(400_000)}`,
        'application/json',
        422,
        'invalid',
      ],
      [
        'more than the limit',
        JSON.stringify({ name: 'a'.repeat(1_100_000) }),
        'application/json',
        413,
        'too_large',
      ],
      ['another media type', 'name=a', 'application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
      ['another character set', '{}', 'application/json; charset=latin1', 415, 'unsupported_media_type'],
      ['an empty body', '', 'application/json', 400, 'malformed'],
    ];
    for (const [name, raw, type, status, code] of unreadable) {
      it(`of ${name} is ${status} ${code}`, async () => {
        const headers = { 'idempotency-key': 'k', 'content-type': type };
        const answer = await http('POST', `/v1/things/${id}`, { raw, headers });
        assert.equal(answer.status, status, answer.text);
        assert.equal(answer.body.code, code);
        assert.equal(answer.headers.get('content-type'), 'application/problem+json');
      });
    }

    it('that is compressed is not read', async () => {
      const headers = { 'idempotency-key': 'k', 'content-encoding': 'gzip' };
      assert.equal((await http('POST', `/v1/things/${id}`, { raw: '{}', headers })).status, 415);
    });

    it('without the header that a route needs is malformed', async () => {
      const answer = await http('POST', `/v1/things/${id}`, { body: thing });
      assert.equal(answer.status, 400);
      assert.equal(answer.body.errors[0].path, 'idempotency-key');
    });

    for (const query of [
      'limit=0',
      'limit=201',
      'limit=x',
      'limit=',
      'limit=1&limit=2',
      'limit=1e2',
      `cursor=${'c'.repeat(2_000)}`,
    ]) {
      it(`with ?${query.slice(0, 30)} is invalid`, async () => {
        assert.equal((await http('GET', `/v1/list?${query}`)).status, 422);
      });
    }

    it('with an id that is none asks for nothing that exists', async () => {
      for (const path of ['x', '0', '%00', encodeURIComponent("';--"), `${id}0`]) {
        const answer = await http('POST', `/v1/things/${path}`, {
          headers: { 'idempotency-key': 'k' },
          body: thing,
        });
        assert.equal(answer.status, 404, path);
        assert.equal(answer.body.code, 'not_found');
      }
    });

    it('with a path that cannot be decoded is a problem, not a fault', async () => {
      assert.equal(await rawStatus(service.port, 'GET /v1/things/%ff%fe HTTP/1.1'), 400);
    });
  });

  describe('errors', () => {
    it('are problems with the request id, wherever they arise', async () => {
      for (const [method, path, status] of [
        ['GET', '/nowhere', 404],
        ['DELETE', '/v1/list', 405],
        ['GET', '/v1/staff', 401],
        ['GET', '/v1/fail/problem', 409],
        ['GET', '/v1/fail/throw', 500],
      ] as const) {
        const answer = await http(method, path, { headers: { 'x-request-id': 'mine-1' } });
        assert.equal(answer.status, status, path);
        assert.equal(answer.headers.get('content-type'), 'application/problem+json');
        assert.equal(answer.headers.get('x-request-id'), 'mine-1');
        assert.equal(answer.body.request_id, 'mine-1');
        assert.equal(answer.body.status, status);
        assert.ok(answer.body.title && answer.body.type && answer.body.code);
      }
    });

    it('that are ours tell the client nothing, and the log everything', async () => {
      const answer = await http('GET', '/v1/fail/throw');
      assert.equal(answer.body.code, 'internal');
      assert.ok(!/secret|select|stack|at /i.test(answer.text), answer.text);
      assert.ok(
        service.logged('request failed').some(({ error }) => String(error).includes('select secret')),
      );
    });

    it('of a part that is away are unavailable, with the time to wait', async () => {
      const answer = await http('GET', '/v1/fail/away');
      assert.equal(answer.status, 503);
      assert.equal(answer.body.code, 'unavailable');
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
    });

    it('of the database about a value are the fault of the value', async () => {
      assert.equal((await http('GET', '/v1/fail/data')).status, 422);
    });

    it('carry further members and headers', async () => {
      const answer = await http('GET', '/v1/fail/problem');
      assert.deepEqual(answer.body.quote, { total: 5 });
      assert.equal(answer.headers.get('x-extra'), 'yes');
    });

    it('name the methods that a path has', async () => {
      assert.equal((await http('DELETE', '/v1/list')).headers.get('allow'), 'GET');
    });

    it('after the answer has begun cut it off, so that nobody takes it for whole', async () => {
      await assert.rejects(http('GET', '/v1/fail/midway'));
    });
  });

  describe('rights', () => {
    for (const [role, status] of [
      ['customer', 403],
      ['staff', 200],
      ['admin', 200],
      ['operator', 403],
    ] as const) {
      it(`of a route for staff let ${role} ${status === 200 ? 'pass' : 'not pass'}`, async () => {
        const token = await service.tokens.token({ roles: [role] });
        assert.equal((await http('GET', '/v1/staff', { token })).status, status);
      });
    }

    it('are asked before the body is read', async () => {
      const answer = await http('POST', '/v1/staff', { raw: '{"cut' });
      assert.equal(answer.status, 401);
    });

    it('fail in one shape, with and without a token', async () => {
      const without = await http('GET', '/v1/staff', { headers: { 'x-request-id': 'r' } });
      const bad = await http('GET', '/v1/staff', { headers: { 'x-request-id': 'r' }, token: 'a.b.c' });
      assert.equal(without.text, bad.text);
      assert.equal(bad.headers.get('www-authenticate'), 'Bearer realm="ragline"');
    });
  });

  describe('ids', () => {
    it('of a request are kept when they are valid, else replaced', async () => {
      const answered = async (value: string) =>
        (await http('GET', '/healthz', { headers: { 'x-request-id': value } })).headers.get('x-request-id');
      assert.equal(await answered('a.b:c-d_1'), 'a.b:c-d_1');
      for (const odd of ['a b', 'x'.repeat(129), 'a,b', '<script>'])
        assert.match((await answered(odd)) ?? '', /^[\w-]{36}$/);
    });

    it('of the trace go on in the answer, and reach the logs', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
      const answer = await http('GET', '/v1/list', { headers });
      assert.match(
        answer.headers.get('traceparent') ?? '',
        new RegExp(`^00-${traceId}-(?!00f067aa0ba902b7)`),
      );
    });
  });

  it('counts requests by route, never by path', async () => {
    await http('POST', `/v1/things/${id}`, { headers: { 'idempotency-key': 'k' }, body: thing });
    await http('GET', '/nowhere/at/all');
    await eventually(
      async () => {
        const { text } = await http('GET', '/metrics');
        assert.match(text, /_seconds_count\{.*method="POST",route="\/v1\/things\/\{id\}",status="201"/);
        assert.match(text, /method="GET",route="none",status="404"/);
        assert.ok(!text.includes(id) && !text.includes('/nowhere'));
      },
      { withinMs: 10_000 },
    );
  });

  it('answers with headers that keep browsers from guessing, and without telling what it is made of', async () => {
    const { headers } = await http('GET', '/healthz');
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('content-security-policy'), "default-src 'none';frame-ancestors 'none'");
    assert.equal(headers.get('x-powered-by'), null);
  });

  it('is ready while its checks pass', async () => {
    assert.equal((await http('GET', '/readyz')).status, 200);
    service.health.check('kafka', () => {
      throw new Error('no broker');
    });
    const answer = await http('GET', '/readyz');
    assert.equal(answer.status, 503);
    assert.deepEqual(answer.body, { status: 'not_ready', checks: { kafka: 'no broker' } });
    service.health.check('kafka', () => {});
  });

  it('describes itself by OpenAPI 3.2', async () => {
    const { body } = await http('GET', '/openapi.json');
    assert.equal(body.openapi, '3.2.0');
    const operation = body.paths['/v1/things/{id}'].post;
    assert.deepEqual(Object.keys(operation.responses), [
      '201',
      '400',
      '404',
      '408',
      '409',
      '413',
      '415',
      '422',
      '429',
      '500',
      '503',
      'default',
    ]);
    assert.equal(operation.requestBody.content['application/json'].schema.additionalProperties, false);
    assert.deepEqual(operation.responses['422'].content['application/problem+json'].schema, {
      $ref: '#/components/schemas/Problem',
    });
    assert.deepEqual(body.paths['/v1/staff'].get.security, [{ bearer: [] }]);
    const limit = body.paths['/v1/list'].get.parameters.find(
      ({ name }: { name: string }) => name === 'limit',
    );
    assert.partialDeepStrictEqual(limit.schema, { type: 'integer', minimum: 1, maximum: 200, default: 50 });
  });
});

describe('a route', () => {
  it('cannot be made with a body that drops unknown fields in silence', () => {
    const api = createApi({ title: 'Sample' });
    const bodies = [
      z.object({}),
      z.strictObject({ items: z.array(z.object({ a: z.string() })) }),
      z.strictObject({ a: z.union([z.strictObject({}), z.object({})]).optional() }),
    ];
    for (const body of bodies) {
      const definition = {
        method: 'post',
        path: '/x',
        summary: 'x',
        auth: 'none',
        body,
        responses: {},
      } as const;
      assert.throws(() => api.route(definition, async () => {}), TypeError);
    }
  });

  it('cannot ask for a role when nobody can tell who is calling', () => {
    const api = createApi({ title: 'Sample' });
    const definition = { method: 'get', path: '/x', summary: 'x', auth: 'staff', responses: {} } as const;
    assert.throws(() => api.route(definition, async () => {}), TypeError);
  });
});

function nested(depth: number): unknown {
  return depth === 0 ? 1 : { a: nested(depth - 1) };
}

/** The status of a request line that fetch would not send. */
function rawStatus(port: number, requestLine: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`${requestLine}\r\nHost: x\r\nConnection: close\r\n\r\n`),
    );
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('end', () => resolve(Number(answer.split(' ')[1])));
    socket.on('error', reject);
  });
}

async function startSample() {
  const lines: { event: string; fields: LogFields }[] = [];
  const keep = (event: string, fields: LogFields = {}) => void lines.push({ event, fields });
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep };
  const metrics = createMetrics({ service: 'sample' });
  const health = createHealth();
  const tokens = await startTokens();
  const api = createApi({ title: 'Sample', authentication: createAuthentication(tokens.settings) });
  addRoutes(api);
  const { app } = createApp({ service: 'sample', log, metrics, health, api });
  const server = await startServer({ handler: app, port: 0, host: '127.0.0.1', log, drainMs: 100 });
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port,
    health,
    tokens,
    logged: (event: string) => lines.filter((line) => line.event === event).map(({ fields }) => fields),
    async stop() {
      await server.close();
      await tokens.stop();
    },
  };
}

function addRoutes(api: ReturnType<typeof createApi>): void {
  api.route(
    {
      method: 'post',
      path: '/v1/things/{id}',
      summary: 'Make a thing',
      auth: 'none',
      params: z.object({ id: uuid }),
      query: z.object(pageQuery),
      headers: z.object({ 'idempotency-key': idempotencyKey }),
      body: z.strictObject({
        name: text(10, 1),
        n: int(),
        price: money,
        at: timestamp.optional(),
        attributes: freeObject().optional(),
        items: z.array(z.strictObject({ a: int() })).max(200),
      }),
      responses: { 201: z.object({}) },
    },
    async ({ params, query, headers, body }) => ({ status: 201, body: { params, query, headers, body } }),
  );
  api.route(
    {
      method: 'post',
      path: '/v1/optional',
      summary: 'May have a body',
      auth: 'none',
      body: z.strictObject({ reason: text(10).optional() }).optional(),
      responses: { 200: z.object({}) },
    },
    async ({ body }) => ({ status: 200, body: { body: body ?? null } }),
  );
  api.route(
    {
      method: 'get',
      path: '/v1/list',
      summary: 'List',
      auth: 'none',
      query: z.object(pageQuery),
      responses: { 200: z.object({}) },
    },
    async ({ query }) => ({ status: 200, body: query }),
  );
  for (const method of ['get', 'post'] as const) {
    api.route(
      {
        method,
        path: '/v1/staff',
        summary: 'For staff',
        auth: 'staff',
        body: z.strictObject({}).optional(),
        responses: { 200: z.object({}) },
      },
      async ({ principal }) => ({ status: 200, body: principal }),
    );
  }
  const failures: Record<string, () => Error> = {
    problem: () =>
      problem('price_changed', 'Look again.', {
        members: { quote: { total: 5 } },
        headers: { 'x-extra': 'yes' },
      }),
    throw: () => new Error('select secret from table'),
    away: () => Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' }),
    data: () => Object.assign(new Error('invalid byte sequence for encoding'), { code: '22021' }),
  };
  for (const [name, make] of Object.entries(failures)) {
    api.route(
      { method: 'get', path: `/v1/fail/${name}`, summary: name, auth: 'none', responses: {} },
      async () => {
        throw make();
      },
    );
  }
  api.route(
    { method: 'get', path: '/v1/fail/midway', summary: 'midway', auth: 'none', responses: {} },
    async ({ res }) => {
      res.setHeader('content-type', 'application/json');
      res.write('{"data":[');
      throw new Error('lost');
    },
  );
}
