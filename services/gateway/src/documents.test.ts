import assert from 'node:assert/strict';
import { createDocument } from '@ragline/web/openapi';
import { describe, it } from 'mocha';
import { buildAsyncApi } from './asyncapi.ts';
import { jsonSchemaOf } from './avro-json-schema.ts';
import { type Json, mergeDocuments } from './openapi.ts';
import type { ServiceName } from './routes.ts';

function merged(documents: Partial<Record<ServiceName, Json>>) {
  const entries = Object.entries(documents) as [ServiceName, Json][];
  return JSON.parse(JSON.stringify(mergeDocuments(new Map(entries))));
}

describe('the one OpenAPI document', () => {
  it('has the paths of services that can be reached, and no others', () => {
    const paths = { '/v1/orders': {}, '/internal/trace/{id}': {}, '/metrics': {}, '/v1/users': {} };
    const document = merged({ orders: { paths } });
    const own = new Set(Object.keys(merged({}).paths));
    assert.ok(own.has('/v1/system'));
    assert.deepEqual(
      Object.keys(document.paths).filter((path) => !own.has(path)),
      ['/v1/orders'],
    );
  });

  it('keeps apart what two services call by the same name', () => {
    const of = (type: string, path: string) => ({
      paths: { [path]: { get: { schema: { $ref: '#/components/schemas/Thing' } } } },
      components: { schemas: { Thing: { type } } },
    });
    const document = merged({ identity: of('string', '/v1/users'), orders: of('number', '/v1/orders') });
    assert.equal(document.components.schemas.Thing.type, 'string');
    assert.equal(document.components.schemas.orders_Thing.type, 'number');
    assert.equal(document.paths['/v1/orders'].get.schema.$ref, '#/components/schemas/orders_Thing');
    assert.equal(document.paths['/v1/users'].get.schema.$ref, '#/components/schemas/Thing');
  });

  it('has once what two services define alike', () => {
    const alike = { paths: {}, components: { schemas: { Problem: { type: 'object' } } } };
    const document = merged({ identity: alike, orders: structuredClone(alike) });
    assert.ok(!('orders_Problem' in document.components.schemas));
  });
});

describe('what is said of webhooks', () => {
  it('is each event that may come, a test too, and what an answer does', () => {
    const { webhooks } = merged({});
    assert.deepEqual(Object.keys(webhooks), [
      'order_created',
      'order_status_changed',
      'order_cancelled',
      'webhook_test',
    ]);
    for (const { post } of Object.values<Json & { post: { responses: Json } }>(webhooks))
      assert.deepEqual(Object.keys(post.responses).sort(), ['2XX', '3XX', '410', '4XX', '5XX']);
  });
});

describe('what a reader of the OpenAPI document chooses from', () => {
  const service = (path: string, scheme: Json, tag: string) => ({
    paths: { [path]: { get: { security: [{ bearer: [] }], tags: [tag] } } },
    components: { securitySchemes: { bearer: scheme } },
  });

  it('is one way to sign in where the services have the same', () => {
    const { components }: Json = JSON.parse(JSON.stringify(createDocument({ title: 'A service' }, [])));
    const document = merged({ identity: { paths: {}, components }, orders: { paths: {}, components } });
    assert.deepEqual(Object.keys(document.components.securitySchemes), ['bearer', 'ticket', 'cookie']);
  });

  it('is a way of its own for operations that have one', () => {
    const document = merged({ orders: service('/v1/orders', { type: 'mutualTLS' }, 'orders') });
    assert.equal(document.components.securitySchemes.orders_bearer.type, 'mutualTLS');
    assert.deepEqual(document.paths['/v1/orders'].get.security, [{ orders_bearer: [] }]);
  });

  it('is a list of tags in lower case', () => {
    const document = merged({ identity: service('/v1/users', { type: 'http' }, 'Users') });
    assert.deepEqual(document.paths['/v1/users'].get.tags, ['users']);
  });
});

describe('the AsyncAPI document', () => {
  it('has every topic that has a schema, and every socket, with references that lead somewhere', () => {
    const document = JSON.parse(JSON.stringify(buildAsyncApi()));
    const addresses = Object.values(document.channels).map((it) => (it as Json).address);
    for (const expected of [
      'orders.v1',
      'catalog.v1',
      'notifications.v1',
      'identity.revocations.v1',
      'dead_letters.v1',
      'chat.requests.v1',
      'chat.events.v1',
      'llm.calls.v1',
      '/ws',
      '/ws/chat',
    ]) {
      assert.ok(addresses.includes(expected), expected);
    }
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)];
    assert.ok(references.length > 10);
    for (const [, path = ''] of references) {
      const found = path.split('/').reduce((at, name) => at?.[name], document);
      assert.ok(found !== undefined, path);
    }
  });

  it('shows events as sockets carry them', () => {
    const type = {
      type: 'record',
      name: 'a',
      fields: [
        { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
        { name: 'note', type: ['null', 'string'], doc: 'What else.' },
      ],
    };
    assert.deepEqual(jsonSchemaOf(type), {
      type: 'object',
      properties: {
        at: { type: 'string', format: 'date-time' },
        note: { anyOf: [{ type: 'null' }, { type: 'string' }], description: 'What else.' },
      },
      required: ['at', 'note'],
    });
  });
});
